"""The benchmark times what it says, and marks slow lines."""

import json

import torch

from benchmarks import bench
from benchmarks.bench import main, table

ROW = {
    "scale": "small", "dtype": "float32", "mode": "eager", "part": "both", "seconds": 2.0,
    "textbook_seconds": 1.0, "speed_ratio": 0.5, "peak_memory_mib": 100.0,
}  # fmt: skip


def test_a_line_slower_than_the_textbook_is_marked():
    assert "**slower**" in table([ROW], {})
    assert "**slower**" not in table([{**ROW, "speed_ratio": 0.98}], {})


def test_the_command_writes_a_line_for_each_part(tiny_config, tmp_path, monkeypatch):
    monkeypatch.setattr(bench, "vidtwin_config", lambda scale: tiny_config)
    main(["--scales", "small", "--pairs", "1", "--quick", "--out", str(tmp_path)])
    (written,) = tmp_path.glob("*.json")
    rows = json.loads(written.read_text())["rows"]
    assert [row["part"] for row in rows if row["dtype"] == "float32"] == ["encode", "decode", "both"]
    assert all(row["seconds"] > 0 for row in rows)
    assert written.with_suffix(".md").read_text().count("| small |") == len(rows)


def test_both_models_are_timed_on_the_same_clip(tiny_model):
    video = torch.zeros(1, 4, 3, 32, 32)
    calls = bench.calls(tiny_model, video, compiled=False)
    assert calls["both"]().reconstruction.shape == video.shape
    assert calls["decode"]().reconstruction.shape == video.shape
