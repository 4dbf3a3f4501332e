"""picture: labelled comparisons and strips, whatever the size of the frames."""

import sys
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from vidtwin.modeling_vidtwin.picture import LABELS, Strip, caption, png, side_by_side


def pictures(number: int = 0, height: int = 32, width: int = 40) -> dict[str, np.ndarray]:
    """One plain frame per name: its red tells the name, its green the number."""
    colours = {name: (50 + 40 * row, number + 1, 0) for row, name in enumerate(LABELS)}
    return {name: np.full((height, width, 3), colour, np.uint8) for name, colour in colours.items()}


def levels(rows: np.ndarray, colour: int = 0) -> list[int]:
    """The red (or green) of the plain frames along the middle of a picture's row, in order."""
    line = rows[rows.shape[0] // 2, :, colour]
    return [int(line[0]), *(int(b) for a, b in zip(line, line[1:], strict=False) if b not in (0, a))]


def test_a_caption_has_light_text_on_black() -> None:
    bar = caption("original", 100)
    assert bar.shape[1:] == (100, 3) and bar[0].max() == 0 and bar.max() > 200


def test_a_caption_too_long_for_its_picture_is_cut_off() -> None:
    assert caption("reconstruction", 20).shape[1] == 20


def test_the_comparison_shows_every_part_unchanged_and_in_order() -> None:
    assert levels(side_by_side(pictures())[16:]) == [50, 90, 130, 170]


def test_the_comparison_labels_every_part() -> None:
    top = side_by_side(pictures(width=100))[:16]
    assert [bool(top[:, start : start + 100].max() > 200) for start in (0, 104, 208, 312)] == [True] * 4


@pytest.mark.parametrize("height", [31, 32])
@pytest.mark.parametrize("width", [39, 40])
def test_the_comparison_has_even_sides(height: int, width: int) -> None:
    shown = side_by_side({"original": pictures(0, height, width)["original"]})
    assert [side % 2 for side in shown.shape[:2]] == [0, 0] and shown.shape[1] - width in (0, 1)


@pytest.mark.parametrize(("count", "columns"), [(1, 1), (5, 5), (6, 6), (7, 6), (40, 6)])
def test_a_strip_has_six_columns_or_as_many_as_there_are_frames(count: int, columns: int) -> None:
    strip = Strip()
    for number in range(count):
        strip.add(pictures(number))
    assert len(levels(strip.picture()[32:64])) == columns


@pytest.mark.parametrize("count", [6, 13, 39, 100])
def test_a_strip_spreads_its_columns_over_the_whole_video(count: int) -> None:
    strip = Strip()
    for number in range(count):
        strip.add(pictures(number))
    shown = [level - 1 for level in levels(strip.picture()[32:64], colour=1)]
    gaps = np.diff(shown)
    assert (
        shown[0] == 0 and shown[-1] >= 0.8 * (count - 1) and gaps.min() > 0 and gaps.max() <= 2 * gaps.min()
    )


def test_a_strip_has_a_row_for_every_part() -> None:
    strip = Strip()
    strip.add(pictures())
    shown = strip.picture()
    assert [int(shown[32 + 48 * row + 10, 5, 0]) for row in range(4)] == [50, 90, 130, 170]


def test_a_strip_holds_few_frames_of_a_long_video() -> None:
    strip = Strip(columns=6)
    for number in range(1000):
        strip.add({"original": np.full((1, 1, 3), number % 256, np.uint8)})
    assert len(strip._kept) < 12


def test_a_strip_keeps_frames_and_not_the_batches_they_lie_in() -> None:
    strip, batch = Strip(), np.zeros((4, 8, 12, 3), np.uint8)
    before = sys.getrefcount(batch)
    strip.add({"original": batch[0]})
    assert sys.getrefcount(batch) == before


def test_a_strip_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one frame"):
        Strip().picture()


def test_a_png_holds_the_picture() -> None:
    shown = side_by_side(pictures())
    assert np.array_equal(np.asarray(Image.open(BytesIO(png(shown)))), shown)
