"""The benchmark times what it says, and marks slow lines."""

import itertools
import json

import torch

from benchmarks import bench
from benchmarks.bench import main, table

ROW = {
    "scale": "small", "dtype": "float32", "mode": "eager", "part": "both", "seconds": 2.0,
    "textbook_seconds": 1.0, "speed_ratio": 0.5, "peak_memory_mib": 100.0,
}  # fmt: skip


def test_a_line_slower_than_the_textbook_is_marked():
    facts = {"machine": "one", "torch": "2", "date": "today"}
    assert "**slower**" in table({**facts, "rows": [ROW]})
    assert "**slower**" not in table({**facts, "rows": [{**ROW, "speed_ratio": 0.98}]})


def test_the_command_writes_a_line_for_each_part(tiny_config, tmp_path, monkeypatch):
    monkeypatch.setattr(bench, "vidtwin_config", lambda scale: tiny_config)
    main(["--scales", "small", "--pairs", "1", "--quick", "--out", str(tmp_path)])
    (written,) = tmp_path.glob("*.json")
    rows = json.loads(written.read_text())["rows"]
    assert [row["part"] for row in rows if row["dtype"] == "float32"] == ["encode", "decode", "both"]
    assert all(row["seconds"] > 0 for row in rows)
    assert written.name.endswith("-speed.json")


def test_both_models_are_timed_on_the_same_clip(tiny_model):
    video = torch.zeros(1, 4, 3, 32, 32)
    calls = bench.calls(tiny_model, video, compiled=False)
    assert calls["both"]().reconstruction.shape == video.shape
    assert calls["decode"]().reconstruction.shape == video.shape


def test_the_ratio_is_above_one_where_the_textbook_takes_longer(tiny_config, monkeypatch):
    """Ours takes 2 s and the textbook 3 s, by a clock of our own."""
    monkeypatch.setattr(bench, "vidtwin_config", lambda scale: tiny_config)
    times = itertools.cycle([2.0, 3.0])
    monkeypatch.setattr(bench, "seconds", lambda call, device: next(times))
    for row in bench.measure("small", torch.float32, False, 3, torch.device("cpu")):
        assert (row["seconds"], row["textbook_seconds"], row["speed_ratio"]) == (2.0, 3.0, 1.5)
