"""The parts of a training step are all timed."""

import json

from benchmarks.step_time import main


def test_the_command_writes_the_seconds_of_every_part(tmp_path, capsys):
    main(["--recipe", "smoke", "--batch-size", "1", "--rounds", "1", "--out", str(tmp_path)])
    (written,) = tmp_path.glob("*-step.json")
    found = json.loads(written.read_text())["seconds"]
    assert list(found) == ["data", "generator", "perceptual", "discriminator", "optimizer"]
    assert all(value > 0 for value in found.values())
    assert "perceptual" in capsys.readouterr().out
