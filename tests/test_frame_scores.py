"""frame_scores: the PSNR of every frame and part, gathered one frame at a time."""

import numpy as np
import pytest

from vidtwin.metrics.frame_scores import FrameScores


def plain(level: int) -> np.ndarray:
    return np.full((4, 6, 3), level, np.uint8)


def scores(count: int) -> FrameScores:
    """Scores of `count` frames: the whole off by frame + 1, structure alone exact."""
    gathered = FrameScores()
    for frame in range(count):
        gathered.add({"original": plain(100), "all": plain(101 + frame), "structure": plain(100)})
    return gathered


def test_every_part_is_compared_with_the_original() -> None:
    assert scores(1).psnr == {"all": [pytest.approx(48.13, abs=0.01)], "structure": [pytest.approx(80)]}


def test_the_mean_is_one_of_decibels() -> None:
    values = scores(2).as_dict()["all"]
    assert values["mean"] == pytest.approx(np.mean(values["per_frame"]))


def test_the_table_names_every_part() -> None:
    assert [line.split("  ")[0] for line in scores(3).lines()[1:3]] == ["reconstruction", "structure only"]


def test_every_frame_is_printed_once() -> None:
    rows = [line.split(":") for line in scores(23).lines()[4:]]
    assert [int(start) for start, _ in rows] == [0, 10, 20]
    assert sum(len(values.split()) for _, values in rows) == 23


def test_the_lowest_comes_before_the_highest() -> None:
    heads, values = (line.split()[-3:] for line in scores(3).lines()[:2])
    assert heads == ["mean", "lowest", "highest"]
    assert float(values[1]) < float(values[0]) < float(values[2])
