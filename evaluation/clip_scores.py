"""The scores of one video, clip by clip.

Axes: t frames, y x pixels, c colour.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch

from vidtwin.metrics.functional import psnr, ssim
from vidtwin.metrics.networks import I3D_LEAST_FRAMES, i3d_features
from vidtwin.modeling_vidtwin.long_video import reconstruct_parts
from vidtwin.modeling_vidtwin.modeling_vidtwin import VidTwinModel
from vidtwin.modeling_vidtwin.video_io import VideoReader
from vidtwin.modeling_vidtwin.video_processing_vidtwin import VidTwinVideoProcessor
from vidtwin.training.perceptual import PerceptualLoss

from .sources import Video


@dataclass
class Scorer:
    """A model with what measures it; without `lpips` or `detector` (of FVD) these are left out."""

    model: VidTwinModel
    processor: VidTwinVideoProcessor
    fps: float
    batch_size: int = 4
    lpips: PerceptualLoss | None = None
    detector: Any = None

    def score(self, video: Video) -> tuple[list[dict[str, Any]], np.ndarray, float]:
        """A row for each clip, features of prediction and reference `clips 2 400`, and the seconds it took.

        Clips too short for the detector have no features. Raises VideoError for a video that cannot be read.
        """
        started = time.perf_counter()
        rows, features = [], []
        for number, (reference, prediction) in enumerate(self.clips(video)):
            row = {"video": video.name, "clip": number, "frames": len(reference)}
            rows.append({**row, **self._scores(prediction, reference)})
            if self.detector is not None and len(reference) >= I3D_LEAST_FRAMES:
                pair = (i3d_features(self.detector, clip) for clip in (prediction, reference))
                features.append(torch.stack(list(pair)).numpy())
        return rows, np.array(features), time.perf_counter() - started

    def clips(self, video: Video) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Clips of the original as the model saw it, and of its reconstruction, uint8 `t y x c`."""
        with VideoReader(video.read(), fps=self.fps) as reader:
            frames = reconstruct_parts(self.model, self.processor, reader, ("all",), self.batch_size)
            while clip := list(islice(frames, self.model.config.num_frames)):
                yield (
                    np.stack([each["original"] for each in clip]),
                    np.stack([each["all"] for each in clip]),
                )

    @torch.inference_mode()
    def _scores(self, prediction: np.ndarray, reference: np.ndarray) -> dict[str, float]:
        scores = {
            "psnr": psnr(prediction, reference).mean().item(),
            "ssim": ssim(prediction, reference).mean().item(),
        }
        if self.lpips is not None:
            clips = (torch.from_numpy(clip).to(self.model.device) for clip in (reference, prediction))
            scores["lpips"] = self.lpips(*(clip.movedim(-1, 1)[None] / 127.5 - 1 for clip in clips)).item()
        return scores
