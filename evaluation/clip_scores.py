"""The scores of clips, and of one video clip by clip.

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
from vidtwin.metrics.networks import I3D_LEAST_FRAMES, i3d_features, load_i3d, load_lpips
from vidtwin.modeling_vidtwin.long_video import reconstruct_parts
from vidtwin.modeling_vidtwin.modeling_vidtwin import VidTwinModel
from vidtwin.modeling_vidtwin.video_io import VideoReader
from vidtwin.modeling_vidtwin.video_processing_vidtwin import VidTwinVideoProcessor
from vidtwin.training.perceptual import PerceptualLoss

from .sources import Video


@dataclass(frozen=True)
class Judges:
    """The networks that measure beside PSNR and SSIM, where they are wanted; `detector` is FVD's."""

    lpips: PerceptualLoss | None = None
    detector: Any = None
    device: torch.device = torch.device("cpu")

    @classmethod
    def load(cls, lpips: str | None, fvd: str | None, device: torch.device) -> Judges:
        """lpips: a net, or None. fvd: "hub", the path of the I3D file, or None.

        Raises MissingWeightsError for networks that are not there.
        """
        perceptual = PerceptualLoss(load_lpips(lpips)).to(device) if lpips else None
        detector = load_i3d(None if fvd == "hub" else fvd, str(device)) if fvd else None
        return cls(perceptual, detector, device)

    @torch.inference_mode()
    def scores(self, prediction: np.ndarray, reference: np.ndarray) -> dict[str, float]:
        """PSNR, SSIM and, if wanted, LPIPS of one clip, uint8 `t y x c`."""
        scores = {
            "psnr": psnr(prediction, reference).mean().item(),
            "ssim": ssim(prediction, reference).mean().item(),
        }
        if self.lpips is not None:
            clips = (torch.from_numpy(clip).to(self.device) for clip in (reference, prediction))
            scores["lpips"] = self.lpips(*(clip.movedim(-1, 1)[None] / 127.5 - 1 for clip in clips)).item()
        return scores

    def features(self, prediction: np.ndarray, reference: np.ndarray) -> np.ndarray | None:
        """FVD's `2 400` of a clip and its reference; None if not wanted, or too short for the detector."""
        pair = (prediction, reference)
        if self.detector is None or min(map(len, pair)) < I3D_LEAST_FRAMES:
            return None
        return torch.stack([i3d_features(self.detector, clip) for clip in pair]).numpy()


@dataclass
class Scorer:
    """A model with what measures it."""

    model: VidTwinModel
    processor: VidTwinVideoProcessor
    fps: float
    batch_size: int = 4
    judges: Judges = Judges()

    def score(self, video: Video) -> tuple[list[dict[str, Any]], np.ndarray, float]:
        """A row for each clip, features of prediction and reference `clips 2 400`, and the seconds it took.

        Clips too short for the detector have no features. Raises VideoError for a video that cannot be read.
        """
        started = time.perf_counter()
        rows, features = [], []
        for number, (reference, prediction) in enumerate(self.clips(video)):
            row = {"video": video.name, "clip": number, "frames": len(reference)}
            rows.append({**row, **self.judges.scores(prediction, reference)})
            if (pair := self.judges.features(prediction, reference)) is not None:
                features.append(pair)
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
