"""`vidtwin metrics install` says where each metric lies, or why it cannot."""

from pathlib import Path

from typer.testing import CliRunner

from vidtwin.cli import app
from vidtwin.metrics import NAMES


def test_it_names_every_script(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_MODULES_CACHE", str(tmp_path / "modules"))
    result = CliRunner().invoke(app, ["metrics", "install"])
    assert result.exit_code == 0
    lines = dict(line.split(": ") for line in result.output.splitlines())
    assert list(lines) == list(NAMES)
    assert all(Path(script).is_relative_to(tmp_path) and Path(script).is_file() for script in lines.values())


def test_an_unwritable_place_is_one_line(tmp_path, monkeypatch):
    (tmp_path / "modules").write_text("a file")
    monkeypatch.setenv("HF_MODULES_CACHE", str(tmp_path / "modules"))
    result = CliRunner().invoke(app, ["metrics", "install"])
    assert result.exit_code == 1 and "modules" in result.output and "Traceback" not in result.output
