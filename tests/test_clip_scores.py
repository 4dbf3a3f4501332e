"""A video's clips are scored as the metrics score their frames."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from video_maker import make_video, smooth_frames

from vidtwin import VidTwinVideoProcessor
from vidtwin.evaluation.clip_scores import Judges, Scorer
from vidtwin.evaluation.sources import Video
from vidtwin.metrics.functional import psnr, ssim
from vidtwin.modeling_vidtwin.long_video import reconstruct_parts
from vidtwin.modeling_vidtwin.video_io import VideoError
from vidtwin.training.perceptual import PerceptualLoss


class Distance(nn.Module):
    def forward(self, first, second):
        return (first - second).abs().mean(dim=(1, 2, 3), keepdim=True)


def pooled(x, rescale, resize, return_features):
    return nn.functional.adaptive_avg_pool3d(x, (2, 2, 2)).flatten(1)


@pytest.fixture
def video(tmp_path) -> Video:
    """10 frames: with clips of 4, the last one has 2."""
    file: Path = make_video(tmp_path / "a.mp4", smooth_frames(10), 25)
    return Video("a.mp4", lambda: file)


@pytest.fixture
def scorer(tiny_model) -> Scorer:
    return Scorer(tiny_model, VidTwinVideoProcessor.from_config(tiny_model.config), 25.0)


def test_every_clip_has_a_row_and_a_tail_counts_its_real_frames(scorer, video):
    rows, features, seconds = scorer.score(video)
    assert [(row["video"], row["clip"], row["frames"]) for row in rows] == [
        ("a.mp4", 0, 4), ("a.mp4", 1, 4), ("a.mp4", 2, 2),
    ]  # fmt: skip
    assert len(features) == 0 and seconds > 0


def test_the_scores_are_those_of_the_frames(scorer, video):
    rows, _, _ = scorer.score(video)
    whole = list(reconstruct_parts(scorer.model, scorer.processor, smooth_frames_of(video), ("all",)))
    found, wanted = (np.stack([each[name] for each in whole]) for name in ("all", "original"))
    assert rows[1]["psnr"] == pytest.approx(psnr(found[4:8], wanted[4:8]).mean().item())
    assert rows[2]["ssim"] == pytest.approx(ssim(found[8:], wanted[8:]).mean().item())


def smooth_frames_of(video: Video):
    from vidtwin.modeling_vidtwin.video_io import VideoReader

    with VideoReader(video.read()) as reader:
        yield from reader


def test_the_protocols_rate_decides_the_frames(scorer, video):
    scorer.fps = 12.5
    rows, _, _ = scorer.score(video)
    assert sum(row["frames"] for row in rows) == 5


def test_lpips_is_the_mean_over_frames(scorer, video):
    scorer.judges = Judges(lpips=PerceptualLoss(Distance()))
    rows, _, _ = scorer.score(video)
    (original, reconstruction), *_ = scorer.clips(video)
    wanted = np.abs(original.astype(float) - reconstruction).mean() / 127.5
    assert rows[0]["lpips"] == pytest.approx(wanted, rel=1e-4)


def test_clips_long_enough_have_features_of_both_sides(scorer, video, monkeypatch):
    monkeypatch.setattr("vidtwin.evaluation.clip_scores.I3D_LEAST_FRAMES", 4)
    monkeypatch.setattr("vidtwin.metrics.networks.I3D_LEAST_FRAMES", 4)
    scorer.judges = Judges(detector=partial(pooled))
    _, features, _ = scorer.score(video)
    assert features.shape == (2, 2, 24)
    assert not np.array_equal(features[:, 0], features[:, 1])


def test_a_video_that_cannot_be_read_is_an_error(scorer, tmp_path):
    (tmp_path / "b.mp4").write_bytes(b"no video")
    with pytest.raises(VideoError):
        scorer.score(Video("b.mp4", lambda: tmp_path / "b.mp4"))
    assert torch.is_inference_mode_enabled() is False
