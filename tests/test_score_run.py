"""An evaluation of many videos: each once, resumable, refusals told."""

import json

import numpy as np
import pytest
from accelerate import PartialState

from vidtwin.evaluation import score_run
from vidtwin.evaluation.score_run import begin, score_all
from vidtwin.evaluation.sources import Video
from vidtwin.modeling_vidtwin.video_io import VideoError

NAMES = ["a", "b", "c", "d"]


class Scorer:
    """Scores a video by its name's place; `bad` cannot be read, and after `stop` videos Ctrl-C comes."""

    def __init__(self, stop: int = 99):
        self.done: list[str] = []
        self.stop = stop

    def score(self, video: Video):
        if len(self.done) == self.stop:
            raise KeyboardInterrupt
        self.done.append(video.name)
        if video.name == "c":
            raise VideoError("c.mp4: is damaged.")
        place = float(NAMES.index(video.name))
        rows = [{"video": video.name, "clip": clip, "frames": 4, "psnr": place} for clip in (0, 1)]
        return rows, np.full((2, 2, 3), place), 1.0


@pytest.fixture(autouse=True)
def videos(monkeypatch):
    videos = [Video(name, lambda: b"") for name in NAMES]
    monkeypatch.setattr(score_run, "videos_of", lambda data: iter(videos))


def run(out, scorer: Scorer, limit: int | None = None, said: list | None = None):
    begin(out, {"model": "one"})
    return score_all(scorer, "data", out, limit, (said if said is not None else []).append, quiet=True)


def test_every_readable_video_is_scored_in_order(tmp_path):
    scores = run(tmp_path / "out", Scorer())
    assert [(row["video"], row["clip"]) for row in scores.rows] == [
        ("a", 0), ("a", 1), ("b", 0), ("b", 1), ("d", 0), ("d", 1),
    ]  # fmt: skip
    assert scores.predictions.shape == scores.references.shape == (6, 3) and scores.seconds == 3
    assert scores.refused == [{"video": "c", "reason": "is damaged."}]


def test_an_interrupted_run_goes_on_and_ends_with_the_same(tmp_path):
    whole = run(tmp_path / "whole", Scorer())
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "out", Scorer(stop=2))
    second, said = Scorer(), []
    resumed = run(tmp_path / "out", second, said=said)
    assert second.done == ["c", "d"] and said == ["2 videos were scored before"]
    assert resumed.rows == whole.rows and resumed.refused == whole.refused
    assert np.array_equal(resumed.predictions, whole.predictions)


def test_the_limit_counts_videos(tmp_path):
    scorer = Scorer()
    run(tmp_path / "out", scorer, limit=2)
    assert scorer.done == ["a", "b"]


def test_processes_share_the_videos(tmp_path, monkeypatch):
    class Rank:
        num_processes, process_index, is_main_process = 2, 1, False

        def wait_for_everyone(self):
            pass

    monkeypatch.setattr(score_run, "PartialState", Rank)
    scorer = Scorer()
    assert run(tmp_path / "out", scorer) is None and scorer.done == ["b", "d"]
    monkeypatch.setattr(score_run, "PartialState", PartialState)
    first = Scorer()
    assert len(run(tmp_path / "out", first).rows) == 6 and first.done == ["a", "c"]


def test_another_evaluations_folder_is_refused(tmp_path):
    begin(tmp_path / "out", {"model": "one", "data": "x"})
    with pytest.raises(ValueError, match="holds an evaluation with data 'x', not 'y'"):
        begin(tmp_path / "out", {"model": "one", "data": "y"})


def test_a_folder_with_something_else_is_refused(tmp_path):
    (tmp_path / "letter.txt").write_text("")
    with pytest.raises(ValueError, match="must be new, empty"):
        begin(tmp_path, {"model": "one"})


def test_no_readable_video_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(score_run, "videos_of", lambda data: iter([Video("c", lambda: b"")]))
    with pytest.raises(ValueError, match=r"none of 1 videos can be read, the first because: is damaged\."):
        run(tmp_path / "out", Scorer())
    assert json.loads((tmp_path / "out" / "run.json").read_text()) == {"model": "one"}


def test_a_video_that_changed_is_scored_again(tmp_path, monkeypatch):
    run(tmp_path / "out", Scorer())
    changed = [Video(name, lambda name=name: b"longer" if name == "b" else b"") for name in NAMES]
    monkeypatch.setattr(score_run, "videos_of", lambda data: iter(changed))
    second = Scorer()
    run(tmp_path / "out", second)
    assert second.done == ["b"]


def test_a_run_killed_before_its_first_video_goes_on(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / ".run.json.partial-1").write_text("")
    assert len(run(tmp_path / "out", Scorer()).rows) == 6
