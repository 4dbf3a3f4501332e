"""PatchDiscriminator: tells real from reconstructed patches (PatchGAN of pix2pix, paper Sec. 3.4)."""

from __future__ import annotations

from einops import rearrange
from torch import Tensor, nn

NORMS = ("batch", "group", "sync")
WIDTHS = (64, 128, 256, 512)
_BATCH_NORMS = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}


class PatchDiscriminator(nn.Module):
    """Five 4x4 convolutions (64, 128, 256, 512, 1 channels), norms after the second to fourth, LeakyReLU.

    dims: 2 looks at single frames, as released; 3 also at 3 neighbouring frames. norm: "batch" (released),
    "group" (the same for any batch size and number of processes), "sync" (batch norm over all GPUs). Raises
    ValueError for another dims or norm.
    """

    def __init__(self, num_channels: int = 3, dims: int = 2, norm: str = "batch"):
        super().__init__()
        if dims not in _BATCH_NORMS:
            raise ValueError(f"dims must be 2 (frames) or 3 (frames and time), got {dims}.")
        if norm not in NORMS:
            raise ValueError(f"norm must be one of {', '.join(NORMS)}, got {norm!r}.")
        self.dims = dims
        layers: list[nn.Module] = []
        before = num_channels
        for index, width in enumerate(WIDTHS):
            layers.append(self._conv(before, width, stride=1 if width == WIDTHS[-1] else 2, bias=index == 0))
            layers += [self._norm(norm, width)] if index else []
            layers.append(nn.LeakyReLU(0.2))
            before = width
        self.layers = nn.Sequential(*layers, self._conv(before, 1, stride=1, bias=True))
        self.apply(_draw)

    def _conv(self, before: int, after: int, stride: int, bias: bool) -> nn.Module:
        """4x4 over the frame; with three dimensions, over 3 frames too, which are never skipped."""
        if self.dims == 2:
            return nn.Conv2d(before, after, 4, stride, padding=1, bias=bias)
        return nn.Conv3d(before, after, (3, 4, 4), (1, stride, stride), padding=1, bias=bias)

    def _norm(self, norm: str, width: int) -> nn.Module:
        if norm == "group":
            return nn.GroupNorm(32, width)
        return nn.SyncBatchNorm(width) if norm == "sync" else _BATCH_NORMS[self.dims](width)

    @staticmethod
    def least_size() -> int:
        """The smallest side of a frame, in pixels, that gives a logit."""
        return 24

    def forward(self, video: Tensor) -> Tensor:
        """Logits of overlapping patches of `b t c y x` in [-1, 1]: high for real."""
        pattern = "b t c y x -> (b t) c y x" if self.dims == 2 else "b t c y x -> b c t y x"
        return self.layers(rearrange(video, pattern))


def _draw(module: nn.Module) -> None:
    """The start of pix2pix: small normal weights, norms near one."""
    if isinstance(module, nn.Conv2d | nn.Conv3d):
        nn.init.normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.GroupNorm | nn.BatchNorm2d | nn.BatchNorm3d | nn.SyncBatchNorm):
        nn.init.normal_(module.weight, mean=1.0, std=0.02)
        nn.init.zeros_(module.bias)
