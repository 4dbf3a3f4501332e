"""What the README promises: its tree, its Python and its commands are those of this checkout."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from vidtwin import VidTwinModel, VidTwinVideoProcessor
from vidtwin.cli import app

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
ROOMS = (
    "benchmarks",
    "configuration",
    "evaluation",
    "hub_cards",
    "metrics",
    "modeling_vidtwin",
    "training",
    "vidtwin",
)


def blocks(language: str) -> list[str]:
    every = re.findall(r"^```(\w*)\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)
    return [text for each, text in every if each == language]


def test_the_tree_has_every_source_file_and_no_other() -> None:
    (tree,) = (block for block in blocks("") if "vidtwin/cli.py" in block)
    listed = [line.split()[0] for line in tree.splitlines()]
    files = [path.relative_to(ROOT).as_posix() for room in ROOMS for path in (ROOT / room).glob("*.py")]
    assert listed == sorted(name for name in files if not name.endswith("__init__.py"))


def test_every_command_has_help_and_the_options_the_readme_gives_it() -> None:
    rows = re.findall(r"^\| (`vidtwin .*?) \| (.*) \|$", README, flags=re.MULTILINE)
    commands = {name: row for row in rows for name in re.findall(r"`vidtwin ([a-z ]*[a-z])", row[0])}
    known = {"reconstruct", "encode", "decode", "swap", "info", "convert", "shards", "shards check", "train"}
    known |= {"metrics install", "evaluate", "compare", "rate page", "rate mos", "push"}
    assert known == set(commands)
    for name, row in commands.items():
        result = CliRunner().invoke(app, [*name.split(), "--help"], env={"COLUMNS": "200", "NO_COLOR": "1"})
        assert result.exit_code == 0, result.output
        missing = [
            option for option in re.findall(r"--[a-z-]+", " ".join(row)) if option not in result.output
        ]
        assert missing == [], name


def test_every_make_target_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"make ([a-z-]+)", README))
    assert {"demo", "test"} <= targets
    assert [target for target in targets if not re.search(rf"^{target}:", makefile, re.MULTILINE)] == []


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(blocks("python"))))
def test_the_python_runs(number: int, tmp_path: Path, hub, tiny_model: VidTwinModel) -> None:
    tiny_model.push_to_hub("org/vidtwin-base")
    VidTwinVideoProcessor.from_config(tiny_model.config).push_to_hub("org/vidtwin-base")
    for name in ("modeling_vidtwin",):  # the paths it names
        (tmp_path / name).symlink_to(ROOT / name)
    result = subprocess.run(
        [sys.executable, "-c", f"{blocks('python')[number]}\nprint('ran')"],
        cwd=tmp_path,
        env={**os.environ, "HF_HUB_OFFLINE": "0"},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.endswith("ran\n")
    assert "write_video" not in blocks("python")[number] or (tmp_path / "clip.mp4").stat().st_size > 0
