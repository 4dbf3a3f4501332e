"""The maths of the metrics.

Axes: t frames, y x pixels, c colour.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

# Identical frames score 80 dB instead of infinity.
_PSNR_EPS = 1e-8


def psnr(predictions: Tensor | np.ndarray, references: Tensor | np.ndarray) -> Tensor:
    """Peak signal-to-noise ratio of each frame in dB, `... y x c -> ...` in float64 (paper Table 1).

    Values are uint8, or float in [0, 1]; -10 log10(mse + 1e-8) is taken per frame, so that a mean over frames
    is one of decibels. Raises ValueError for unequal shapes, another dtype or floats outside [0, 1].
    """
    predicted, wanted = _unit_range("predictions", predictions), _unit_range("references", references)
    if predicted.shape != wanted.shape or predicted.ndim < 3:
        raise ValueError(
            "predictions and references must both be (..., height, width, colours), got "
            f"{tuple(predicted.shape)} and {tuple(wanted.shape)}. Crop or resize them to one size first."
        )
    error = (predicted - wanted).square().flatten(-3).mean(dim=-1, dtype=torch.float64)
    return -10 * torch.log10(error + _PSNR_EPS)


def _unit_range(name: str, frames: Tensor | np.ndarray) -> Tensor:
    """Frames as float32 or float64 in [0, 1]."""
    values = torch.as_tensor(frames)
    if values.dtype == torch.uint8:
        return values.to(torch.float32) / 255
    if not values.is_floating_point():
        raise ValueError(f"{name} must be uint8, or float in [0, 1], got {values.dtype}. Convert them first.")
    values = values.to(torch.promote_types(values.dtype, torch.float32))
    if values.numel() and not (values.min() >= 0 and values.max() <= 1):
        raise ValueError(
            f"{name} must be uint8, or float in [0, 1], got float in [{values.min():g}, {values.max():g}]. "
            "Clamp or rescale them first."
        )
    return values
