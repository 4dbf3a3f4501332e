"""Labelled pictures for people: the comparison of one frame, and the strip of a whole video.

Axes: y x pixels, c colour. All pictures are uint8 `y x c`, with black between the parts.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from io import BytesIO

import numpy as np
import torch
from torchvision.transforms.functional import to_pil_image
from torchvision.utils import draw_bounding_boxes

LABELS = {
    "original": "original",
    "all": "reconstruction",
    "structure": "structure only",
    "dynamics": "dynamics only",
}
_GAP = 4
_CAPTION_HEIGHT = 16


@lru_cache(maxsize=64)
def caption(text: str, width: int) -> np.ndarray:
    """White text on a black bar of the given width, `y x c`; what does not fit is cut off at the right."""
    bar = torch.zeros(3, _CAPTION_HEIGHT, width, dtype=torch.uint8)
    # torchvision writes text only beside boxes: this one is black on black.
    box = torch.tensor([[0, 0, width - 1, _CAPTION_HEIGHT - 1]])
    drawn = draw_bounding_boxes(bar, box, labels=[text], colors="black", label_colors="white")
    return drawn.permute(1, 2, 0).numpy()


def side_by_side(pictures: Mapping[str, np.ndarray]) -> np.ndarray:
    """Pictures of one size in a row, each under its label, `y x c`; both sides of the result are even.

    The names are the keys of LABELS.
    """
    labelled = [
        np.concatenate([caption(LABELS[name], picture.shape[1]), picture])
        for name, picture in pictures.items()
    ]
    row = _row(labelled)
    # H.264 as most players show it halves both sides.
    return np.pad(row, ((0, row.shape[0] % 2), (0, row.shape[1] % 2), (0, 0)))


class Strip:
    """A picture of a whole video: one row per name, a few columns spread over the frames.

    It needs no number of frames in advance, and holds fewer than twice as many frames as it has columns.
    """

    def __init__(self, columns: int = 6):
        self._columns = columns
        self._kept: list[tuple[int, Mapping[str, np.ndarray]]] = []
        self._stride = 1
        self._count = 0

    def add(self, pictures: Mapping[str, np.ndarray]) -> None:
        """The next frame: pictures of one size by their names, as reconstruct_parts gives them."""
        if self._count % self._stride == 0:
            copies = {name: picture.copy() for name, picture in pictures.items()}  # not the batch they lie in
            self._kept.append((self._count, copies))
        self._count += 1
        if len(self._kept) == 2 * self._columns:
            self._kept = self._kept[::2]
            self._stride *= 2

    def picture(self) -> np.ndarray:
        """The strip so far, `y x c`; ValueError before the first frame."""
        if not self._kept:
            raise ValueError("a strip needs at least one frame, got none. Call add first.")
        shown = np.linspace(0, len(self._kept) - 1, min(self._columns, len(self._kept))).round().astype(int)
        chosen = [self._kept[index] for index in shown]
        first = chosen[0][1]
        width = next(iter(first.values())).shape[1]
        rows = [_row([caption(f"frame {number}", width) for number, _ in chosen])]
        for name in first:
            row = _row([pictures[name] for _, pictures in chosen])
            rows += [caption(LABELS[name], row.shape[1]), row]
        return np.concatenate(rows)


def png(picture: np.ndarray) -> bytes:
    """The PNG file of a picture `y x c`."""
    file = BytesIO()
    to_pil_image(np.ascontiguousarray(picture)).save(file, "PNG")
    return file.getvalue()


def _row(pictures: list[np.ndarray]) -> np.ndarray:
    gap = np.zeros((pictures[0].shape[0], _GAP, 3), np.uint8)
    parts = [part for picture in pictures for part in (gap, picture)]
    return np.concatenate(parts[1:], axis=1)
