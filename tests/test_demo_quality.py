"""The measuring command: which videos it takes and what it compares."""

import json

import numpy as np
import pytest

from benchmarks.demo_quality import bicubic, main, mean_colour, unseen_videos
from vidtwin import VidTwinVideoProcessor
from vidtwin.hub_cards.results import quality_table
from vidtwin.modeling_vidtwin.video_io import write_video

TABLE = """
| file | source repo @commit : path [frames] | licence as stated | lic? | bytes |
|---|---|---|---|---|
| a_0.mp4 | some/repo@1 : a.mp4 [0:10] | CC0 | Y | 1 |
| a_1.mp4 | some/repo@1 : a.mp4 [10:20] | unknown | ? | 1 |
| b.mp4 | some/repo@1 : b.mp4 [0:10] | unknown | N | 1 |
"""


def test_videos_whose_source_was_trained_on_are_left_out(tmp_path):
    for name in ("a_0.mp4", "a_1.mp4", "b.mp4", "unlisted.mp4"):
        (tmp_path / name).touch()
    (tmp_path / "CLIPS.md").write_text(TABLE)
    assert [path.name for path in unseen_videos(tmp_path)] == ["b.mp4"]


def test_the_baselines_keep_what_they_can_represent():
    ramp = np.broadcast_to(np.linspace(50, 200, 112)[:, None, None], (112, 112, 3)).astype(np.uint8)
    assert np.abs(bicubic(ramp).astype(int) - ramp)[12:-12].max() <= 3
    assert (mean_colour(ramp) == 125).all() or (mean_colour(ramp) == 124).all()


def test_the_command_writes_means_over_videos(tiny_model, tmp_path):
    tiny_model.save_pretrained(tmp_path / "model")
    VidTwinVideoProcessor.from_config(tiny_model.config).save_pretrained(tmp_path / "model")
    for name, value in (("dark.mp4", 40), ("light.mp4", 200)):
        write_video(tmp_path / name, np.full((6, 40, 40, 3), value, np.uint8), 25)
    out = ["--out", str(tmp_path / "out" / "quality.json")]
    main([str(tmp_path / "model"), str(tmp_path), *out])
    result = json.loads((tmp_path / "out" / "quality.json").read_text())
    assert {name: video["frames"] for name, video in result["videos"].items()} == {
        "dark.mp4": 6,
        "light.mp4": 6,
    }
    assert result["mean_psnr"]["mean_colour"] > 45
    values = [video["model"] for video in result["videos"].values()]
    assert result["mean_psnr"]["model"] == pytest.approx(sum(values) / 2)


def test_the_rows_bear_the_names_of_what_was_measured():
    table = quality_table(
        {"mean_psnr": {"model": 3.0, "bicubic": 2.0, "mean_colour": 1.0}, "num_videos": 1, "protocol": ""}
    )
    assert table.splitlines()[4:] == [
        "| this model, as stored | 3.00 |",
        "| bicubic to 10x10 pixels a frame and back (4,800 numbers) | 2.00 |",
        "| each frame's mean colour | 1.00 |",
    ]
