"""The training loss of VidTwin, term by term (paper Sec. 3.4), all in means so that numbers stay small.

The released recipe sums (|x - x̂| + 0.05 LPIPS) / exp(s) + s over the N = c·y·x numbers of a frame, and adds
0.001 KL (a sum per clip) and w·0.05·g, where g = -mean D(x̂) and w = |d nll / d W| / (|d g / d W| + 1e-4),
clamped to [0, 10^4], with W the last weight of the decoder. Divided by N this is

    mean |x - x̂| + 0.05 LPIPS, the sum over exp(s), + s + 0.001 KL / N + (w / N)·0.05·g

so a recipe keeps the released weights, and the ratio of the terms is the released one. The gradients of
the mean form are N times smaller, hence the N in `adaptive_weight`.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

RECONSTRUCTION_ERRORS = ("l1", "l2")


def reconstruction_term(video: Tensor, reconstruction: Tensor, error: str = "l1") -> Tensor:
    """Mean absolute (`l1`) or squared (`l2`) error of `b t c y x` pixels in [-1, 1], a scalar in float32.

    Raises ValueError for another error's name.
    """
    difference = video.float() - reconstruction.float()
    if error == "l1":
        return difference.abs().mean()
    if error == "l2":
        return difference.square().mean()
    raise ValueError(f"error must be one of {', '.join(RECONSTRUCTION_ERRORS)}, got {error!r}.")


def kl_term(kl_loss: Tensor, video: Tensor) -> Tensor:
    """KL of a clip in nats over the numbers of one frame of `b t c y x`, a scalar."""
    return kl_loss.float() / numbers_of_a_frame(video)


def likelihood_term(error: Tensor, logvar: Tensor) -> Tensor:
    """Negative log-likelihood of an error under the log-variance `s`, error / exp(s) + s, both scalars."""
    return error / logvar.exp() + logvar


def generator_term(fake_logits: Tensor) -> Tensor:
    """What the generator minimises of the discriminator's logits on its frames: g = -mean D(x̂)."""
    return -fake_logits.float().mean()


def discriminator_term(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Hinge loss of the discriminator, 0.5 (mean max(0, 1 - D(x)) + mean max(0, 1 + D(x̂)))."""
    return 0.5 * (F.relu(1 - real_logits.float()).mean() + F.relu(1 + fake_logits.float()).mean())


def adaptive_weight(reconstruction_gradient: Tensor, generator_gradient: Tensor, numbers: int) -> Tensor:
    """The weight w / N that makes both gradients at the decoder's last weight equally long, a scalar.

    The gradients are those of the mean form; numbers: N, the numbers of a frame.
    """
    ratio = numbers * reconstruction_gradient.float().norm() / (generator_gradient.float().norm() + 1e-4)
    return ratio.clamp(0.0, 1e4).detach() / numbers


def numbers_of_a_frame(video: Tensor) -> int:
    """N = c·y·x of a video `b t c y x`."""
    return video[0, 0].numel()


def psnr_term(video: Tensor, reconstruction: Tensor) -> Tensor:
    """Mean over frames of the PSNR in dB, of `b t c y x` pixels in [-1, 1], clamped there; `b`."""
    error = (video.float() - reconstruction.float().clamp(-1, 1)) / 2
    return -10 * torch.log10(error.square().mean(dim=(2, 3, 4)) + 1e-8).mean(dim=1)
