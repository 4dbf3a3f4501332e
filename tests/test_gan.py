"""One module, one backward: the gradients are those of the released recipe's two passes."""

import copy

import pytest
import torch
from torch import nn

from vidtwin.training import losses
from vidtwin.training.discriminator import PatchDiscriminator
from vidtwin.training.gan import AdversarialVidTwin, LossWeights
from vidtwin.training.initialisation import start_weights
from vidtwin.training.perceptual import PerceptualLoss


class Distance(nn.Module):
    """A stand-in with the call of lpips.LPIPS."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, first, second):
        return (self.conv(first) - self.conv(second)).square().mean(dim=(1, 2, 3), keepdim=True)


@pytest.fixture
def module(tiny_model):
    torch.manual_seed(0)
    model = copy.deepcopy(tiny_model)
    start_weights(model, "variance_preserving")  # gradients worth comparing
    for part in model.modules():
        if hasattr(part, "dropout"):
            part.dropout = 0.0
    return AdversarialVidTwin(
        model, LossWeights(), PatchDiscriminator(norm="batch"), PerceptualLoss(Distance()), learn_logvar=True
    ).train()


@pytest.fixture
def video():
    return torch.rand(2, 4, 3, 32, 32, generator=torch.Generator().manual_seed(1)) * 2 - 1


def gradients(module):
    return {name: p.grad.clone() for name, p in module.named_parameters() if p.grad is not None}


def two_passes(module, video):
    """The released form: separate losses, the adaptive weight by a second traversal, D's loss apart."""
    output = module.generator(video, sample_posterior=False)
    y, numbers = output.reconstruction, losses.numbers_of_a_frame(video)
    error = (video - y).abs().mean() + 0.05 * module.perceptual(video, y)
    nll = losses.likelihood_term(error, module.logvar)
    frozen = copy.deepcopy(module.discriminator).requires_grad_(False)
    g = -frozen(y).mean()
    last = module.generator.head.proj.weight
    first, second = (torch.autograd.grad(each, last, retain_graph=True)[0] for each in (nll, g))
    weight = losses.adaptive_weight(first, second, numbers) * 0.05
    (nll + weight * g + 0.001 * output.kl_loss / numbers).backward()
    losses.discriminator_term(module.discriminator(video), module.discriminator(y.detach())).backward()
    return gradients(module)


def test_one_backward_gives_the_gradients_of_two_passes(module, video):
    reference = two_passes(copy.deepcopy(module), video)
    module(video, sample_posterior=False, gan_scale=1.0)["loss"].backward()
    ours = gradients(module)
    assert ours.keys() == reference.keys()
    largest = max(gradient.abs().max().item() for gradient in reference.values())
    for name, gradient in ours.items():
        # a bias of the keys has a true gradient of zero, hence the second bound
        size = max(reference[name].abs().max().item(), 0.01 * largest)
        torch.testing.assert_close(gradient, reference[name], rtol=0, atol=1e-5 * size, msg=name)


def test_the_loss_has_the_value_of_its_terms(module, video):
    output = module(video, sample_posterior=False, gan_scale=1.0)
    error = output["l1"] + 0.05 * output["perceptual"]
    expected = (
        losses.likelihood_term(error, output["logvar"])
        + output["adversarial_weight"] * output["generator"]
        + 0.001 * output["kl"] / (3 * 32 * 32)
        + output["discriminator"]
    )
    torch.testing.assert_close(output["loss"], expected, rtol=1e-5, atol=1e-6)


def test_the_generators_loss_sends_nothing_to_the_discriminator(module, video):
    module(video, sample_posterior=False, gan_scale=1.0)["loss"].backward()
    together = gradients(module)
    module.zero_grad()
    with torch.no_grad():
        y = module.generator(video, sample_posterior=False).reconstruction
    alone = copy.deepcopy(module.discriminator)
    losses.discriminator_term(alone(video), alone(y)).backward()
    for name, parameter in alone.named_parameters():
        torch.testing.assert_close(together[f"discriminator.{name}"], parameter.grad, rtol=1e-5, atol=1e-6)


def test_the_generators_term_leaves_the_running_statistics_alone(module, video):
    """They move twice, for the real and for the reconstructed frames, not a third time."""
    module(video, sample_posterior=False, gan_scale=1.0)
    norms = [layer for layer in module.discriminator.modules() if isinstance(layer, nn.BatchNorm2d)]
    assert [int(norm.num_batches_tracked) for norm in norms] == [2, 2, 2]


def test_an_idle_discriminator_takes_part_with_zero_gradients_only(module, video):
    output = module(video, sample_posterior=False, gan_scale=0.0)
    output["loss"].backward()
    assert "discriminator" not in output
    assert all(not parameter.grad.any() for parameter in module.discriminator.parameters())


def test_the_scale_grows_the_adversarial_weight(module, video):
    half, whole = (module(video, sample_posterior=False, gan_scale=scale) for scale in (0.5, 1.0))
    torch.testing.assert_close(2 * half["adversarial_weight"], whole["adversarial_weight"], rtol=1e-4, atol=0)


def test_the_perceptual_network_is_neither_trained_nor_saved(module):
    assert not any("perceptual" in name or name == "conv.weight" for name in module.state_dict())
    assert module.perceptual is not None


def test_a_fixed_logvar_gets_no_gradient(tiny_model, video):
    module = AdversarialVidTwin(copy.deepcopy(tiny_model), LossWeights(), PatchDiscriminator(norm="group"))
    output = module(video, gan_scale=1.0)
    output["loss"].backward()
    assert module.logvar.grad is None and "logvar" not in output


def test_gradient_checkpointing_changes_no_gradient(module, video):
    plain = copy.deepcopy(module)
    newer = hasattr(module.generator, "activation_checkpointing_enable")
    (module.activation_checkpointing_enable if newer else module.gradient_checkpointing_enable)()
    for each in (plain, module):
        each(video, sample_posterior=False, gan_scale=1.0)["loss"].backward()
    for name, gradient in gradients(plain).items():
        size = max(gradient.abs().max().item(), 1e-3)
        torch.testing.assert_close(gradients(module)[name], gradient, rtol=0, atol=1e-5 * size, msg=name)
