"""functional: PSNR per frame by the definition that the paper's figures use."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from vidtwin.metrics.functional import compression_rate, psnr, seam_ratio, ssim, video_psnr


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


# PSNR of a whole video, SSIM


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def test_the_error_of_a_video_is_pooled_before_its_decibels() -> None:
    whole = video_psnr(frames(0.6, 0.5), frames(0.5, 0.5))
    assert whole == pytest.approx(-10 * math.log10(0.01 / 2 + 1e-8), abs=1e-4)
    assert psnr(frames(0.6, 0.5), frames(0.5, 0.5)).mean() > whole + 20


def test_ssim_of_plain_frames_follows_from_their_levels() -> None:
    """Without variance only luminance counts: (2ab + c) / (a^2 + b^2 + c), c = 0.01^2."""
    plain = [np.full((1, 16, 16, 3), level) for level in (0.2, 0.4)]
    assert ssim(*plain).item() == pytest.approx((0.16 + 1e-4) / (0.2 + 1e-4), abs=1e-6)


def test_ssim_scores_each_frame_alone() -> None:
    clean = noise(2, 20, 24, 3)
    other = np.stack([clean[0], noise(20, 24, 3, seed=1)])
    same, different = ssim(other, clean).tolist()
    assert same == pytest.approx(1) and different < 0.2


def test_ssim_refuses_frames_smaller_than_its_window() -> None:
    with pytest.raises(ValueError, match="at least 11 pixels"):
        ssim(noise(1, 10, 20, 3), noise(1, 10, 20, 3))


# Seams


def test_a_video_with_the_sources_changes_has_no_seams() -> None:
    video = noise(12, 4, 4, 3)
    assert seam_ratio(video, video, clip_length=4) == pytest.approx(1)


def test_a_jump_where_clips_meet_shows() -> None:
    """Inside clips the level grows by 1 a frame as in the source, between them by 5 more."""
    source = np.arange(12, dtype=np.uint8)[:, None, None, None] * np.ones((1, 4, 4, 3), np.uint8)
    jumps = source + np.repeat([0, 5, 10], 4).astype(np.uint8)[:, None, None, None]
    assert seam_ratio(jumps, source, clip_length=4) == pytest.approx(6, rel=1e-5)


@pytest.mark.parametrize(("length", "clip", "message"), [(4, 4, "more than one clip"), (8, 1, "2 frames")])
def test_a_video_of_one_clip_has_no_seam(length: int, clip: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        seam_ratio(noise(length, 4, 4, 3), noise(length, 4, 4, 3), clip)


def test_a_still_video_has_no_seam_ratio() -> None:
    with pytest.raises(ValueError, match="videos that move"):
        seam_ratio(noise(8, 4, 4, 3), np.zeros((8, 4, 4, 3), np.uint8), 4)


# Compression rate


CLIP = (16, 3, 224, 224)


@pytest.mark.parametrize(
    ("latents", "clip", "percent"),
    [
        pytest.param([(16, 4, 7, 7), (16, 8, 14)], CLIP, "0.2046", id="VidTwin"),
        pytest.param([(16, 8, 7, 7), (16, 8, 14)], CLIP, "0.3348", id="VidTwin as released"),
        pytest.param([(4, 4, 28, 28)], CLIP, "0.52", id="EMU-3"),
        pytest.param([(5, 4, 28, 28)], CLIP, "0.65", id="MAGVIT-v2"),
        pytest.param([(3, 224, 224), (32, 16, 28)], CLIP, "6.85", id="CMD: a content frame and motion"),
        pytest.param([(2, 64, 16, 16), (14, 64, 4, 4)], (16, 3, 256, 256), "1.5", id="iVideoGPT, 256 px"),
    ],
)
def test_the_papers_rates_follow_from_the_shapes(latents, clip, percent: str) -> None:
    """Table 1's column, to its digits."""
    decimals = len(percent.partition(".")[2])
    assert f"{100 * compression_rate(latents, clip):.{decimals}f}" == percent


@pytest.mark.parametrize(
    ("latents", "clip"), [([], (1, 2)), ([(0, 2)], (1, 2)), ([(1, 2)], ()), ([()], (1,))]
)
def test_empty_shapes_have_no_rate(latents, clip) -> None:
    with pytest.raises(ValueError, match="sizes from 1 up"):
        compression_rate(latents, clip)


# Reference values


@pytest.mark.clips
@pytest.mark.parametrize("name", ["bbb_rising_noise", "intel_person_down4", "mdn_elf_blur1.5",
                                  "mdn_crystal_native_jpeg20", "mdn_rabbit_h264crf38"])  # fmt: skip
def test_real_clips_score_as_in_the_reference_implementations(clips_folder: Path, name: str) -> None:
    values = json.loads((clips_folder / "golden" / f"metrics_{name}.json").read_text())["values"]
    clips = np.load(clips_folder / "golden" / f"metrics_{name}.npz")
    found, wanted = clips["deg"], clips["ref"]
    assert psnr(found, wanted).mean().item() == pytest.approx(
        values["psnr_vidtok_mean_of_dB_eps1e-8"], abs=1e-4
    )
    assert video_psnr(found, wanted) == pytest.approx(
        values["psnr_torchmetrics_default_dB_of_mean"], abs=1e-3
    )
    assert ssim(found, wanted).mean().item() == pytest.approx(values["ssim_vidtok"], abs=5e-5)
    exact = ssim(found / 255.0, wanted / 255.0)
    assert exact.mean().item() == pytest.approx(values["ssim_vidtok"], abs=1e-5)
    assert exact.tolist() == pytest.approx(values["ssim_per_frame_vidtok"], abs=1e-5)


def test_arrays_of_any_strides_and_byte_order_will_do() -> None:
    frames = np.random.default_rng(0).random((3, 12, 14, 3))
    turned = frames[:, ::-1, ::-1]
    assert torch.equal(psnr(turned, frames), psnr(turned.copy(), frames))
    assert torch.equal(psnr(turned.astype(">f8"), frames), psnr(turned.copy(), frames))
