"""`vidtwin evaluate` from a folder of videos to a page, and again."""

import json

import pytest
import torch
from video_maker import make_video, smooth_frames

from vidtwin import VidTwinVideoProcessor
from vidtwin.evaluation.evaluate_command import Settings, evaluate_model
from vidtwin.metrics.networks import MissingWeightsError
from vidtwin.modeling_vidtwin.model_folder import find_model

CPU = torch.device("cpu"), torch.float32


@pytest.fixture
def folder(tiny_model, tmp_path):
    tiny_model.save_pretrained(tmp_path / "tiny")
    VidTwinVideoProcessor.from_config(tiny_model.config).save_pretrained(tmp_path / "tiny")
    (tmp_path / "videos").mkdir()
    for number in range(3):
        make_video(tmp_path / "videos" / f"{number}.mp4", smooth_frames(6 + number), 25)
    (tmp_path / "videos" / "broken.mp4").write_bytes(b"no video")
    return tmp_path


def evaluate(folder, out: str = "out", **settings):
    model = find_model(str(folder / "tiny"))
    return evaluate_model(model, str(folder / "videos"), folder / out, Settings(quiet=True, **settings), CPU)


def test_the_report_is_of_every_video(folder):
    summary = evaluate(folder)
    assert (summary["n_videos"], summary["n_clips"], summary["n_frames"]) == (3, 6, 21)
    assert [each["video"] for each in summary["refused"]] == ["broken.mp4"]
    assert summary["compression_rate"] == summary["latent_numbers"] / (4 * 3 * 32 * 32)
    names = {path.name for path in (folder / "out").iterdir()}
    assert {"summary.json", "scores.csv", "index.html", "best.mp4", "median.mp4", "worst.mp4"} <= names


def test_a_second_run_writes_the_same_but_for_the_cost(folder):
    first = evaluate(folder)
    evaluate(folder, "again", limit=2)
    second = evaluate(folder, "again")
    first.pop("cost"), second.pop("cost")
    assert (
        first
        == second
        == {key: json.loads((folder / "again" / "summary.json").read_text())[key] for key in first}
    )


def test_missing_weights_are_told_before_the_work(folder, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(folder))
    monkeypatch.setattr(
        torch.hub, "download_url_to_file", lambda *_, **__: (_ for _ in ()).throw(OSError("no"))
    )
    with pytest.raises(MissingWeightsError, match="vgg16"):
        evaluate(folder, lpips="vgg")
    assert not (folder / "out").exists()


def test_a_missing_source_leaves_no_folder(folder):
    with pytest.raises(ValueError, match="videos must come from"):
        evaluate_model(find_model(str(folder / "tiny")), "nowhere", folder / "out", Settings(), CPU)
    assert not (folder / "out").exists()


def test_a_report_among_the_videos_is_refused(folder):
    """It would measure its own clips the next time."""
    with pytest.raises(ValueError, match="lies inside .*videos"):
        evaluate(folder, "videos/report")


def test_a_part_of_the_videos_and_refused_ones_are_told(folder):
    summary = evaluate(folder, limit=4)
    assert summary["notes"] == [
        "Of the first 4 videos only.",
        "1 of the videos could not be read; summary.json names them.",
    ]
    page = (folder / "out" / "index.html").read_text()
    assert "broken.mp4: " in page and "Of the first 4 videos only." in page
