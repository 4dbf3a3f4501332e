"""The perceptual term: LPIPS by the `lpips` package, frozen and in float32 (paper Sec. 3.4)."""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor, nn

from vidtwin.metrics.networks import MissingWeightsError, load_lpips


class PerceptualLoss(nn.Module):
    """LPIPS of `b t c y x` pixels in [-1, 1], the mean over frames, a scalar in float32. It never trains.

    network: a module `(frames, frames) -> (frames, 1, 1, 1)`, as lpips.LPIPS is; `load_lpips` makes it.
    """

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network.float().eval().requires_grad_(False)

    def train(self, mode: bool = True) -> PerceptualLoss:
        """Stays in evaluation mode."""
        return super().train(False)

    def forward(self, video: Tensor, reconstruction: Tensor) -> Tensor:
        with torch.autocast(video.device.type, enabled=False):
            frames = (rearrange(each.float(), "b t c y x -> (b t) c y x") for each in (reconstruction, video))
            return self.network(*frames).mean()


def load_perceptual(net: str = "vgg") -> PerceptualLoss:
    """LPIPS on the features of `net`: "vgg" (released), "alex" or "squeeze"; errors as `load_lpips`."""
    try:
        return PerceptualLoss(load_lpips(net))
    except MissingWeightsError as error:
        raise MissingWeightsError(f"{error} Or train without it: perceptual_weight: 0.") from error
