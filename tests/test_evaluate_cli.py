"""evaluate and compare on the command line: each process of a launch computes on a device of its own."""

import accelerate
import pytest
import torch
from typer.testing import CliRunner
from video_maker import make_video, smooth_frames

from vidtwin.cli import app
from vidtwin.evaluate_cli import _of_this_process


@pytest.mark.parametrize(
    ("asked", "processes", "found"), [("auto", 2, "cuda:1"), ("auto", 1, "auto"), ("cpu", 2, "cpu")]
)
def test_a_process_of_a_launch_has_its_own_device(monkeypatch, asked, processes, found):
    class State:
        device, num_processes = torch.device("cuda:1"), processes

    monkeypatch.setattr(accelerate, "PartialState", State)
    assert _of_this_process(asked) == found


def test_the_table_and_the_note_are_printed(tiny_model, tmp_path, monkeypatch):
    from vidtwin import VidTwinVideoProcessor

    tiny_model.save_pretrained(tmp_path / "tiny")
    VidTwinVideoProcessor.from_config(tiny_model.config).save_pretrained(tmp_path / "tiny")
    (tmp_path / "videos").mkdir()
    make_video(tmp_path / "videos" / "one.mp4", smooth_frames(6), 25)
    monkeypatch.setattr("vidtwin.evaluation.clip_scores.load_i3d", lambda *_: object())
    words = ["evaluate", str(tmp_path / "tiny"), str(tmp_path / "videos"), "--out", str(tmp_path / "out")]
    found = CliRunner().invoke(app, [*words, "--fvd", "hub", "--quiet"])
    assert found.exit_code == 0, found.output
    assert "| PSNR (dB) |" in found.output and "No FVD: it needs 2 clips of 9 frames" in found.output
