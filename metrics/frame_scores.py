"""The PSNR of every frame of a reconstruction, gathered while it streams by."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import fmean

import numpy as np

from ..modeling_vidtwin.picture import LABELS
from .functional import psnr

_PER_ROW = 10


class FrameScores:
    """PSNR in dB of each reconstructed part against "original", frame after frame."""

    def __init__(self) -> None:
        self.psnr: dict[str, list[float]] = {}

    def add(self, pictures: Mapping[str, np.ndarray]) -> None:
        """The next frame: uint8 `y x c` pictures as `reconstruct_parts` gives them."""
        for name, picture in pictures.items():
            if name != "original":
                self.psnr.setdefault(name, []).append(psnr(picture, pictures["original"]).item())

    def as_dict(self) -> dict[str, dict[str, float | list[float]]]:
        """Per part its mean over the frames and its value for each."""
        return {name: {"mean": fmean(values), "per_frame": values} for name, values in self.psnr.items()}

    def lines(self) -> list[str]:
        """For people: a line per part, and the values of the first part frame by frame."""
        lines = [f"{'PSNR in dB':<16}{'mean':>7}{'lowest':>9}{'highest':>9}"]
        for name, values in self.psnr.items():
            lines.append(f"{LABELS[name]:<16}{fmean(values):>7.2f}{min(values):>9.2f}{max(values):>9.2f}")
        name, values = next(iter(self.psnr.items()))
        lines.append(f"{LABELS[name]}, frame by frame")
        for start in range(0, len(values), _PER_ROW):
            row = "".join(f"{value:>7.2f}" for value in values[start : start + _PER_ROW])
            lines.append(f"{start:>6}:{row}")
        return lines
