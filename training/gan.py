"""AdversarialVidTwin: generator and discriminator as one module with one forward and one backward.

The two networks' gradients are disjoint by construction: the generator's adversarial term runs the
discriminator with detached parameters and copied buffers, the discriminator's own term sees a detached
reconstruction. One optimizer step is therefore the released recipe's step of the generator and then of the
discriminator on the same reconstruction.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.func import functional_call

from vidtwin.modeling_vidtwin.modeling_vidtwin import VidTwinModel

from . import losses
from .discriminator import PatchDiscriminator
from .perceptual import PerceptualLoss


@dataclass(frozen=True)
class LossWeights:
    """The weights of the terms (defaults: released) and the error they are for."""

    error: str = "l1"
    perceptual: float = 0.05
    kl: float = 0.001
    adversarial: float = 0.05
    adaptive: bool = True


class AdversarialVidTwin(nn.Module):
    """What the trainer trains: a VidTwinModel, the log-variance s of its error and, maybe, a discriminator.

    perceptual: frozen, kept outside the module tree so that it is neither saved, trained nor synchronised.
    logvar is trained when `learn_logvar`, else fixed at its start 0.
    """

    def __init__(
        self,
        generator: VidTwinModel,
        weights: LossWeights,
        discriminator: PatchDiscriminator | None = None,
        perceptual: PerceptualLoss | None = None,
        learn_logvar: bool = False,
    ):
        super().__init__()
        self.generator = generator
        self.discriminator = discriminator
        self.logvar = nn.Parameter(torch.zeros(()), requires_grad=learn_logvar)
        self.weights = weights
        self._outside_the_tree = (perceptual,)

    @property
    def config(self):
        """The generator's configuration."""
        return self.generator.config

    @property
    def perceptual(self) -> PerceptualLoss | None:
        """The frozen perceptual network, if its term has a weight."""
        return self._outside_the_tree[0]

    def activation_checkpointing_enable(self, **options) -> None:
        """As of every transformers model: the generator's blocks recompute their activations."""
        self.generator.activation_checkpointing_enable(**options)

    def gradient_checkpointing_enable(self, **options) -> None:
        """What `activation_checkpointing_enable` is called in older transformers."""
        self.generator.gradient_checkpointing_enable(**options)

    def forward(
        self, pixel_values_videos: Tensor, sample_posterior: bool = True, gan_scale: float = 0.0
    ) -> dict[str, Tensor]:
        """`loss` to back-propagate and every term by name, of clips `b t c y x` in [-1, 1].

        gan_scale: 0 leaves the discriminator out, 1 gives the adversarial term its full weight.
        """
        video = pixel_values_videos
        output = self.generator(video, sample_posterior=sample_posterior)
        reconstruction = output.reconstruction.float()
        kl = losses.kl_term(output.kl_loss, video)
        if self.discriminator is None or gan_scale == 0:
            nll, terms = self._likelihood(video, reconstruction)
            loss = nll + self.weights.kl * kl + self._nothing()
        else:
            scale = self.weights.adversarial * gan_scale
            loss, terms = self._adversarial(video, reconstruction, self.discriminator, scale)
            loss = loss + self.weights.kl * kl
        terms["kl"] = output.kl_loss
        terms["psnr"] = losses.psnr_term(video, reconstruction).mean()
        return {"loss": loss, **{name: value.detach().float() for name, value in terms.items()}}

    def _nothing(self) -> Tensor | float:
        """A zero that every parameter of the idle discriminator takes part in, as DistributedDataParallel
        wants."""
        if self.discriminator is None:
            return 0.0
        return sum(parameter.sum() * 0 for parameter in self.discriminator.parameters())

    def _likelihood(self, video: Tensor, reconstruction: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Reconstruction and perceptual error under the log-variance, in float32."""
        with torch.autocast(video.device.type, enabled=False):
            error = losses.reconstruction_term(video, reconstruction, self.weights.error)
            terms = {self.weights.error: error}
            if self.perceptual is not None:
                terms["perceptual"] = self.perceptual(video, reconstruction)
                error = error + self.weights.perceptual * terms["perceptual"]
            nll = losses.likelihood_term(error, self.logvar.float())
        if self.logvar.requires_grad:
            terms["logvar"] = self.logvar
        return nll, terms

    def _adversarial(
        self, video: Tensor, reconstruction: Tensor, discriminator: PatchDiscriminator, scale: float
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of both networks but for the KL; LPIPS and discriminator are traversed once for the
        adaptive weight and the gradient together."""
        leaf = reconstruction.detach().requires_grad_()
        nll, terms = self._likelihood(video, leaf)
        learned = [self.logvar] if self.logvar.requires_grad else []
        nll_gradient, *logvar_gradient = torch.autograd.grad(nll, [leaf, *learned])
        generator_loss, generator_gradient = _fool(discriminator, reconstruction)
        numbers = losses.numbers_of_a_frame(video)
        balance = torch.tensor(1 / numbers)
        if self.weights.adaptive:
            balance = self._balance(reconstruction, (nll_gradient, generator_gradient), numbers)
        weight = scale * balance
        loss = (reconstruction * (nll_gradient + weight * generator_gradient)).sum()
        if learned:
            loss = loss + self.logvar * logvar_gradient[0]
        real, fake = discriminator(video), discriminator(reconstruction.detach())
        discriminator_loss = losses.discriminator_term(real, fake)
        loss = loss + discriminator_loss
        value = nll + weight * generator_loss + discriminator_loss
        terms |= {
            "generator": generator_loss,
            "adversarial_weight": weight,
            "discriminator": discriminator_loss,
            "logits_real": real.mean(),
            "logits_fake": fake.mean(),
        }
        return loss + (value - loss).detach(), terms  # the true value with the gradient built above

    def _balance(self, reconstruction: Tensor, gradients: tuple[Tensor, Tensor], numbers: int) -> Tensor:
        """The adaptive weight, from both gradients pushed through the last layer; equal on every process."""
        last = self.generator.head.proj.weight
        pushed = [
            torch.autograd.grad(reconstruction, last, gradient, retain_graph=True)[0].float()
            for gradient in gradients
        ]
        if dist.is_available() and dist.is_initialized():
            both = torch.stack(pushed)
            dist.all_reduce(both)
            pushed = list(both / dist.get_world_size())
        return losses.adaptive_weight(pushed[0], pushed[1], numbers)


def _fool(discriminator: PatchDiscriminator, reconstruction: Tensor) -> tuple[Tensor, Tensor]:
    """g and its gradient at the reconstruction, with nothing left behind in the discriminator."""
    leaf = reconstruction.detach().requires_grad_()
    state = {name: value.detach() for name, value in discriminator.named_parameters()}
    state |= {name: value.clone() for name, value in discriminator.named_buffers()}
    loss = losses.generator_term(functional_call(discriminator, state, (leaf,)))
    return loss.detach(), torch.autograd.grad(loss, leaf)[0]
