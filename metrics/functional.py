"""The maths of the metrics on single videos.

Axes: t frames, y x pixels, c colour.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from piq import ssim as piq_ssim
from torch import Tensor

Frames = Tensor | np.ndarray

# Identical frames score 80 dB instead of infinity.
_PSNR_EPS = 1e-8
_SSIM_WINDOW = 11


def psnr(predictions: Frames, references: Frames) -> Tensor:
    """Peak signal-to-noise ratio of each frame in dB, `... y x c -> ...` in float64 (paper Table 1).

    Values are uint8, or float in [0, 1]; -10 log10(mse + 1e-8) is taken per frame, so that a mean over frames
    is one of decibels. Raises ValueError for unequal shapes, another dtype or floats outside [0, 1].
    """
    predicted, wanted = _pair(predictions, references)
    error = (predicted - wanted).square().flatten(-3).mean(dim=-1, dtype=torch.float64)
    return -10 * torch.log10(error + _PSNR_EPS)


def video_psnr(predictions: Frames, references: Frames) -> float:
    """PSNR in dB of a whole video `t y x c`, the error pooled over its frames first; errors as `psnr`."""
    predicted, wanted = _pair(predictions, references)
    error = (predicted - wanted).square().mean(dtype=torch.float64)
    return (-10 * torch.log10(error + _PSNR_EPS)).item()


def ssim(predictions: Frames, references: Frames) -> Tensor:
    """Structural similarity of each frame, `t y x c -> t` (paper Table 1).

    Gaussian window of 11 pixels (sigma 1.5) inside the frame, K 0.01 and 0.03, the mean over colours; frames
    of a short side from 384 on are averaged down by round(side / 256) first. Raises ValueError as `psnr`, and
    for frames smaller than the window.
    """
    predicted, wanted = _pair(predictions, references)
    if predicted.ndim != 4 or min(predicted.shape[1:3]) < _SSIM_WINDOW:
        raise ValueError(
            f"SSIM needs videos (frames, height, width, colours) of at least {_SSIM_WINDOW} pixels a side, "
            f"got {tuple(predicted.shape)}."
        )
    images = (each.movedim(-1, 1) for each in (predicted, wanted))
    return piq_ssim(*images, data_range=1.0, reduction="none")


def seam_ratio(predictions: Frames, references: Frames, clip_length: int = 16) -> float:
    """How much more a long video changes where its clips meet than within them, relative to its source.

    Mean |frame difference| at clip boundaries over the same inside clips, of the prediction `t y x c`,
    divided by the same of the reference: 1 is seamless. Raises ValueError as `psnr`, for a video of one
    clip, and for one that stands still.
    """
    predicted, wanted = _pair(predictions, references)
    if clip_length < 2 or len(predicted) <= clip_length:
        raise ValueError(
            f"a seam ratio needs clips of 2 frames and a video of more than one clip, got {len(predicted)} "
            f"frames in clips of {clip_length}."
        )
    own, source = _jump(predicted, clip_length), _jump(wanted, clip_length)
    if not (math.isfinite(own) and math.isfinite(source) and source > 0):
        raise ValueError("a seam ratio needs videos that move inside their clips and between them.")
    return own / source


def _jump(video: Tensor, clip_length: int) -> float:
    change = video.diff(dim=0).abs().flatten(1).mean(1, dtype=torch.float64)
    at_seam = torch.arange(1, len(video), device=video.device) % clip_length == 0
    return (change[at_seam].mean() / change[~at_seam].mean()).item()


def compression_rate(latents: Sequence[Sequence[int]], video: Sequence[int]) -> float:
    """Numbers in the latents over numbers in the clip, from their shapes (paper Table 1).

    Raises ValueError for an empty clip or sizes below 1.
    """
    sizes = [*latents, video]
    if not latents or any(size < 1 for shape in sizes for size in shape) or not all(sizes):
        raise ValueError(f"shapes must have sizes from 1 up, got latents {latents} and a clip {video}.")
    return sum(map(math.prod, latents)) / math.prod(video)


def _pair(predictions: Frames, references: Frames) -> tuple[Tensor, Tensor]:
    predicted, wanted = unit_range("predictions", predictions), unit_range("references", references)
    if predicted.shape != wanted.shape or predicted.ndim < 3 or not predicted.numel():
        raise ValueError(
            "predictions and references must both be (..., height, width, colours), got "
            f"{tuple(predicted.shape)} and {tuple(wanted.shape)}. Crop or resize them to one size first."
        )
    dtype = torch.promote_types(predicted.dtype, wanted.dtype)
    return predicted.to(dtype), wanted.to(dtype)


def unit_range(name: str, frames: Frames) -> Tensor:
    """Frames as float32 or float64 in [0, 1]."""
    values = frames if isinstance(frames, Tensor) else _tensor(name, np.asarray(frames))
    if values.dtype == torch.uint8:
        return values.to(torch.float32) / 255
    if not values.is_floating_point():
        raise _wrong_dtype(name, values.dtype)
    values = values.to(torch.promote_types(values.dtype, torch.float32))
    if values.numel() and not (values.min() >= 0 and values.max() <= 1):
        raise ValueError(
            f"{name} must be uint8, or float in [0, 1], got float in [{values.min():g}, {values.max():g}]. "
            "Clamp or rescale them first."
        )
    return values


def _tensor(name: str, values: np.ndarray) -> Tensor:
    """An array of any strides and byte order."""
    if values.dtype.name not in ("uint8", "float16", "float32", "float64"):
        raise _wrong_dtype(name, values.dtype)
    return torch.from_numpy(np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("=")))


def _wrong_dtype(name: str, dtype: object) -> ValueError:
    return ValueError(f"{name} must be uint8, or float in [0, 1], got {dtype}. Convert them first.")
