"""functional: PSNR per frame by the definition that the paper's figures use."""

import math

import numpy as np
import pytest
import torch

from vidtwin.metrics.functional import psnr


def frames(*levels: float, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Plain frames `t y x c` of the given levels."""
    return torch.tensor(levels).view(-1, 1, 1, 1).expand(-1, 4, 6, 3).to(dtype)


def test_a_constant_error_scores_its_square_in_decibels() -> None:
    assert psnr(frames(0.6), frames(0.5)).item() == pytest.approx(20.0, abs=1e-4)


def test_identical_frames_score_eighty_decibels() -> None:
    assert psnr(frames(0.3), frames(0.3)).item() == pytest.approx(80.0, abs=1e-9)


def test_each_frame_is_scored_alone() -> None:
    assert psnr(frames(0.6, 0.51), frames(0.5, 0.5)).tolist() == pytest.approx([20, 40], abs=1e-3)


def test_uint8_frames_score_as_the_same_floats() -> None:
    levels = torch.arange(0, 240, 30, dtype=torch.uint8)
    ours, others = (levels.view(-1, 1, 1, 1).expand(-1, 4, 6, 3) + shift for shift in (0, 7))
    assert torch.allclose(psnr(ours, others), psnr(ours / 255, others / 255), atol=1e-4)


def test_uint8_differences_do_not_wrap_around() -> None:
    black, white = np.zeros((2, 3, 3), np.uint8), np.full((2, 3, 3), 255, np.uint8)
    assert psnr(black, white).item() == pytest.approx(0, abs=1e-6)


def test_batches_keep_their_axes() -> None:
    assert psnr(torch.zeros(2, 5, 4, 6, 3), torch.ones(2, 5, 4, 6, 3)).shape == (2, 5)


def test_half_precision_is_scored_in_single_precision() -> None:
    wanted = -10 * math.log10((0.5 - 0.4995117) ** 2 + 1e-8)
    half = psnr(frames(0.4995117, dtype=torch.float16), frames(0.5, dtype=torch.float16)).item()
    assert half == pytest.approx(wanted, abs=1e-2)


@pytest.mark.parametrize("wrong", [torch.zeros(1, 4, 5, 3), torch.zeros(4, 6, 3), torch.zeros(1, 3, 4, 6)])
def test_unequal_shapes_are_refused(wrong: torch.Tensor) -> None:
    with pytest.raises(ValueError, match=r"\(1, 4, 6, 3\)"):
        psnr(frames(0.5), wrong)


@pytest.mark.parametrize("wrong", [frames(-0.1), frames(1.1), frames(float("nan")), frames(3).int()])
def test_values_of_another_range_are_refused(wrong: torch.Tensor) -> None:
    with pytest.raises(ValueError, match="references must be uint8, or float in"):
        psnr(frames(0.5), wrong)
