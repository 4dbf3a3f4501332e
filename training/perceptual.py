"""The perceptual term: LPIPS by the `lpips` package, frozen and in float32 (paper Sec. 3.4)."""

from __future__ import annotations

import warnings

import torch
from einops import rearrange
from torch import Tensor, nn

NETS = {
    "vgg": "vgg16-397923af.pth",
    "alex": "alexnet-owt-7be5be79.pth",
    "squeeze": "squeezenet1_1-b8a52dc0.pth",
}


class PerceptualWeightsError(ValueError):
    """The weights of the perceptual network can be neither found nor downloaded."""


class PerceptualLoss(nn.Module):
    """LPIPS of `b t c y x` pixels in [-1, 1], the mean over frames, a scalar in float32. It never trains.

    network: a module `(frames, frames) -> (frames, 1, 1, 1)`, as lpips.LPIPS is; `load_perceptual` makes it.
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
    """LPIPS on the features of `net`: "vgg" (released), "alex" or "squeeze".

    The heads come with the lpips package, the network's ImageNet weights from torchvision's cache or its
    download. Raises PerceptualWeightsError without them, ValueError for another net.
    """
    import lpips

    if net not in NETS:
        raise ValueError(f"perceptual_net must be one of {', '.join(NETS)}, got {net!r}.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # lpips asks torchvision in its old words
            return PerceptualLoss(lpips.LPIPS(net=net, verbose=False))
    except (OSError, RuntimeError) as error:
        raise PerceptualWeightsError(
            f"LPIPS needs the ImageNet weights {NETS[net]} in {torch.hub.get_dir()}/checkpoints, and they "
            f"could not be downloaded ({error}). Put the file there, or train without it: "
            "perceptual_weight: 0."
        ) from error
