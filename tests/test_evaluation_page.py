"""The page of an evaluation, opened in a headless browser."""

import time

import pytest
import torch
from video_maker import make_video, smooth_frames

from vidtwin import VidTwinVideoProcessor
from vidtwin.evaluation.evaluate_command import Settings, evaluate_model
from vidtwin.modeling_vidtwin.model_folder import find_model

CPU = torch.device("cpu"), torch.float32


@pytest.mark.slow
def test_the_page_shows_figures_and_plays_the_clips(browser, tiny_model, tmp_path):
    tiny_model.save_pretrained(tmp_path / "tiny")
    VidTwinVideoProcessor.from_config(tiny_model.config).save_pretrained(tmp_path / "tiny")
    (tmp_path / "videos").mkdir()
    for name in ("<one>", "two"):
        make_video(tmp_path / "videos" / f"{name}.mp4", smooth_frames(10), 25)
    out = tmp_path / "out"
    model = find_model(str(tmp_path / "tiny"))
    evaluate_model(model, str(tmp_path / "videos"), out, Settings(quiet=True), CPU)
    browser.get((out / "index.html").as_uri())
    assert browser.title == f"VidTwin evaluation of {tmp_path / 'tiny'}"
    cells = [cell.text for cell in browser.find_elements("css selector", "td")]
    assert "PSNR (dB)" in cells and "2, 6, 20" in cells
    captions = [figure.text for figure in browser.find_elements("css selector", "figcaption")]
    assert [caption.split(":")[0] for caption in captions] == ["best", "median", "worst"]
    assert any("<one>.mp4" in caption for caption in captions)
    sizes = (
        "return [...document.querySelectorAll('video')].map(v => [v.videoWidth, v.videoHeight, v.duration])"
    )
    for _ in range(100):
        found = browser.execute_script(sizes)
        if all(width for width, *_ in found):
            break
        time.sleep(0.1)
    assert [width > height > 32 for width, height, _ in found] == [True] * 3
    assert all(0.07 < duration < 0.17 for *_, duration in found)
    assert [line for line in browser.get_log("browser") if line["level"] == "SEVERE"] == []
