"""`vidtwin rate page` and `vidtwin rate mos`."""

import json

import pytest
from typer.testing import CliRunner
from video_maker import make_video, smooth_frames

from vidtwin.cli import app
from vidtwin.evaluation.rating import FORMAT, QUESTIONS


@pytest.fixture
def folder(tmp_path):
    for name in ("originals", "a"):
        (tmp_path / name).mkdir()
        make_video(tmp_path / name / "one.mp4", smooth_frames(5), 25)
    return tmp_path


def run(*words):
    return CliRunner().invoke(app, ["rate", *map(str, words)])


def test_a_page_is_made_and_its_answers_are_scored(folder):
    made = run("page", folder / "originals", f"ours={folder / 'a'}", "--out", folder / "page.html")
    assert made.exit_code == 0 and "1 pairs" in made.output
    key = json.loads((folder / "page.html.key.json").read_text())
    rated = {code: dict.fromkeys(QUESTIONS, 3) for code in key["items"]}
    answers = {"format": FORMAT, "study": key["study"], "rater": "r", "answers": rated}
    (folder / "answers.json").write_text(json.dumps(answers))
    scored = run("mos", folder / "page.html.key.json", folder / "answers.json")
    assert scored.exit_code == 0 and "| ours | 3.00" in scored.output


@pytest.mark.parametrize("systems", [["ours"], ["ours=a", "ours=b"], ["=a"]])
def test_systems_without_a_name_or_named_twice_are_wrong_usage(folder, systems):
    assert run("page", folder / "originals", *systems, "--out", folder / "page.html").exit_code == 2


def test_a_missing_folder_is_one_line(folder):
    result = run("page", folder / "nowhere", f"ours={folder / 'a'}", "--out", folder / "page.html")
    assert result.exit_code == 1 and "is no folder" in result.output
