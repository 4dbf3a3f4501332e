"""The pretrained networks behind LPIPS and FVD: found or refused in one sentence, checked before loading.

Axes: b clips, t frames, y x pixels, c colour.
"""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from huggingface_hub import hf_hub_download
from torch import Tensor, nn

from ..modeling_vidtwin.hub_errors import refused_as
from .functional import Frames, unit_range

LPIPS_NETS = {
    "vgg": "vgg16-397923af.pth",
    "alex": "alexnet-owt-7be5be79.pth",
    "squeeze": "squeezenet1_1-b8a52dc0.pth",
}
I3D_REPO, I3D_FILE = "flateon/FVD-I3D-torchscript", "i3d_torchscript.pt"
I3D_SHA256 = "bec6519f66ea534e953026b4ae2c65553c17bf105611c746d904657e5860a5e2"
I3D_SIZE = 224
I3D_LEAST_FRAMES = 9


class MissingWeightsError(ValueError):
    """The weights of a network can be neither found nor downloaded."""


def load_lpips(net: str = "vgg") -> nn.Module:
    """LPIPS by the `lpips` package on the features of `net`: "vgg", "alex" or "squeeze"; frozen, float32.

    A module `(frames, frames) -> (frames, 1, 1, 1)` of frames `b c y x` in [-1, 1]. The heads come with the
    package, the network's ImageNet weights from torchvision's cache or its download. Raises
    MissingWeightsError without them, ValueError for another net.
    """
    import lpips

    if net not in LPIPS_NETS:
        raise ValueError(f"net must be one of {', '.join(LPIPS_NETS)}, got {net!r}.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # lpips asks torchvision in its old words
            network = lpips.LPIPS(net=net, verbose=False)
    except (OSError, RuntimeError) as error:
        raise MissingWeightsError(
            f"LPIPS needs the ImageNet weights {LPIPS_NETS[net]} in {torch.hub.get_dir()}/checkpoints, and "
            f"they could not be downloaded ({error}). Put the file there."
        ) from error
    return network.float().eval().requires_grad_(False)


def load_i3d(path: str | os.PathLike[str] | None = None, device: str = "cpu") -> Callable[..., Tensor]:
    """The I3D network of FVD, a TorchScript file that is downloaded once from the Hub, or lies at `path`.

    Nothing of the file is run before its checksum is right. Raises MissingWeightsError without the file,
    ValueError for any other file.
    """
    if path is None:
        message = (
            f"FVD needs {I3D_FILE} of the Hub repository {I3D_REPO}, and it could not be downloaded "
            "({reason}). Give its path (detector=, --fvd FILE), or features of your own."
        )
        with refused_as(MissingWeightsError, message):
            path = hf_hub_download(I3D_REPO, I3D_FILE)
    found = hashlib.sha256(Path(path).read_bytes()).hexdigest()
    if found != I3D_SHA256:
        raise ValueError(f"{path} is not the I3D file of FVD: its sha256 is {found}, not {I3D_SHA256}.")
    return torch.jit.load(str(path), map_location=device).eval()


@torch.no_grad()
def i3d_features(detector: Callable[..., Any], clip: Frames, crop: bool = False) -> Tensor:
    """The 400 logits of one clip `t y x c`, uint8 or float in [0, 1], of 9 frames or more.

    The frames are squashed to 224x224 bilinearly; crop: their short side becomes 224 and the centre is kept.
    Raises ValueError for another clip.
    """
    video = unit_range("clip", clip)
    if video.ndim != 4 or video.shape[-1] != 3 or len(video) < I3D_LEAST_FRAMES:
        raise ValueError(
            f"FVD needs clips (frames, height, width, 3) of {I3D_LEAST_FRAMES} frames or more, got "
            f"{tuple(video.shape)}."
        )
    frames = video.float().movedim(-1, 1)
    size = [I3D_SIZE, I3D_SIZE]
    if crop:
        scale = I3D_SIZE / min(frames.shape[-2:])
        size = [max(I3D_SIZE, round(side * scale)) for side in frames.shape[-2:]]
    frames = F.interpolate(frames, size=size, mode="bilinear", align_corners=False)
    top, left = ((side - I3D_SIZE) // 2 for side in size)
    square = frames[..., top : top + I3D_SIZE, left : left + I3D_SIZE] * 2 - 1
    pixels = square.movedim(1, 0)[None]
    return detector(pixels, rescale=False, resize=False, return_features=True).flatten().double().cpu()
