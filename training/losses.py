"""The training loss of VidTwin, term by term (paper Sec. 3.4), all in means so that numbers stay small.

The released recipe sums |x - x̂| over the pixels of a frame and adds 0.001 KL. Divided by the c·y·x numbers
of a frame this is mean |x - x̂| + 0.001 KL / (c·y·x): `kl_term` makes that division, so a recipe keeps the
released weight.
"""

from __future__ import annotations

from torch import Tensor


def reconstruction_term(video: Tensor, reconstruction: Tensor) -> Tensor:
    """Mean absolute error of `b t c y x` pixels in [-1, 1], a scalar in float32."""
    return (video.float() - reconstruction.float()).abs().mean()


def kl_term(kl_loss: Tensor, video: Tensor) -> Tensor:
    """KL of a clip in nats over the numbers of one frame of `b t c y x`, a scalar."""
    return kl_loss.float() / video[0, 0].numel()
