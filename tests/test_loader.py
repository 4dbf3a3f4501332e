"""Loading is timed from originals, from shards, and in the main process."""

import json

from benchmarks.loader import main


def test_the_command_times_every_way(tmp_path, capsys):
    small = ["--most", "2", "--height", "96", "--workers", "1"]
    main([*small, "--out", str(tmp_path)])
    (written,) = tmp_path.glob("*-loader.json")
    found = json.loads(written.read_text())
    assert found["videos"] == 2 and found["height"] == 96
    measured = [value for name, value in found.items() if name.endswith(("second", "clip"))]
    assert len(measured) == 4 and all(value > 0 for value in measured)
    assert "| 96p originals" in capsys.readouterr().out
