"""`vidtwin shards` as typed: makes by default, checks on request, and fails in one line."""

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result
from video_maker import make_video, numbered_frames

from vidtwin.cli import app


@pytest.fixture(scope="module")
def videos(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("videos")
    for number in range(2):
        make_video(root / f"{number}.mp4", numbered_frames(18))
    (root / "bad.mp4").write_bytes(b"no video")
    return root


@pytest.fixture(scope="module")
def made(videos, tmp_path_factory) -> tuple[Path, Result]:
    target = tmp_path_factory.mktemp("made") / "shards"
    return target, run(videos, target, "--workers", 1)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["shards", *map(str, arguments)])


def test_shards_src_dst_makes_shards_and_tells_of_refusals(made):
    target, result = made
    assert result.exit_code == 0
    assert result.stdout.splitlines()[0] == "refused: bad.mp4: is empty, damaged or no video FFmpeg knows."
    assert f"{target}: 2 clips of 2 videos, 1 refused; 1.4 s, " in result.stdout
    assert (target / "train-00000.tar").is_file()


def test_options_may_come_first(videos, tmp_path):
    result = run("--label-from", "none", "--workers", 1, videos, tmp_path / "shards")
    assert result.exit_code == 0 and (tmp_path / "shards" / "report.json").is_file()


def test_a_second_run_says_that_there_is_nothing_to_do(videos, made):
    result = run(videos, made[0], "--workers", 1)
    assert result.exit_code == 0 and "is finished; nothing to do." in result.stdout


def test_other_settings_fail_in_one_line(videos, made):
    result = run(videos, made[0], "--gop", 24, "--workers", 1)
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: ") and result.stderr.count("\n") == 1


def test_nothing_usable_is_exit_code_1(tmp_path):
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "bad.mp4").write_bytes(b"no video")
    result = run(tmp_path / "src", tmp_path / "dst", "--workers", 1)
    assert result.exit_code == 1 and "none of 1 videos can be used" in result.stderr


def test_check_tells_counts_and_both_speeds_and_draws_the_sheet(videos, made, tmp_path):
    sheet = tmp_path / "sheet.png"
    result = run("check", made[0], "--all", "--contact-sheet", sheet, "--originals", videos)
    assert result.exit_code == 0, result.stderr
    assert "2 clips" in result.stdout and result.stdout.count("clips/s on one core") == 2
    assert sheet.is_file()


def test_check_of_broken_shards_is_exit_code_1(made, tmp_path):
    shards = Path(shutil.copytree(made[0], tmp_path / "shards"))
    (shards / "train-00000.tar").write_bytes(b"no tar")
    result = run("check", shards)
    assert result.exit_code == 1 and "broken: train-00000.tar" in result.stdout


def test_help_names_the_options_and_the_check():
    result = run("--help")
    assert result.exit_code == 0
    assert "--short-side" in result.stdout and "shards check DST" in " ".join(result.stdout.split())
