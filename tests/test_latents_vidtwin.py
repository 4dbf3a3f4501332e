"""The posterior and the two branches."""

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from vidtwin import VidTwinConfig, VidTwinModel
from vidtwin.modeling_vidtwin.latents_vidtwin import DiagonalGaussian, TokenLinear


@pytest.fixture
def gaussian():
    return DiagonalGaussian(torch.randn(2, 3, 8, 5, generator=torch.Generator().manual_seed(0)))


def test_the_kl_divergence_is_that_of_torchs_normal(gaussian):
    expected = kl_divergence(Normal(gaussian.mean, gaussian.std), Normal(0.0, 1.0)).flatten(1).sum(1)
    assert torch.allclose(gaussian.kl(), expected, rtol=1e-5)


def test_samples_have_the_posteriors_spread_and_follow_the_generator(gaussian):
    first = gaussian.sample(torch.Generator().manual_seed(1))
    assert torch.equal(first, gaussian.sample(torch.Generator().manual_seed(1)))
    many = torch.stack([gaussian.sample(torch.Generator().manual_seed(seed)) for seed in range(2000)])
    assert torch.allclose(many.mean(0), gaussian.mode(), atol=0.4)
    assert torch.allclose(many.std(0), gaussian.std, rtol=0.15)


def test_the_log_variance_is_clamped_as_released():
    gaussian = DiagonalGaussian(torch.tensor([0.0, 0.0, -99.0, 99.0]).reshape(1, 1, 4))
    assert gaussian.logvar.flatten().tolist() == [-30.0, 20.0]


def test_kl_and_samples_of_half_precision_moments_are_float32():
    gaussian = DiagonalGaussian(torch.zeros(1, 1, 4, dtype=torch.bfloat16))
    assert gaussian.kl().dtype == gaussian.sample().dtype == torch.float32


def test_a_token_linear_mixes_axis_one():
    linear, tokens = TokenLinear(3, 5), torch.randn(2, 3, 4, 6)
    expected = torch.nn.functional.linear(tokens.movedim(1, -1), linear.weight, linear.bias).movedim(-1, 1)
    assert torch.allclose(linear(tokens), expected, atol=1e-6)


def test_the_first_dynamics_entries_follow_the_width_and_the_others_the_height(tiny_model):
    """A hidden state that differs along one column moves all heights but only widths near that column."""
    config = tiny_model.config
    wide = VidTwinModel(VidTwinConfig(**{**_own(config), "image_size": 96})).eval()
    hidden = torch.zeros(1, config.num_frames, 12, 12, config.hidden_size)
    changed = hidden.clone()
    changed[:, :, :, 0] = 1
    moments = (wide.dynamics.encode(changed) - wide.dynamics.encode(hidden)).abs().sum((0, 1, 2))
    size = wide.config.dynamics_size
    assert (moments[:2] > 0).all()
    assert (moments[3:size] == 0).all()
    assert (moments[size:] > 0).all()


def _own(config):
    return {name: getattr(config, name) for name in config._own_fields()}


@pytest.mark.parametrize("downsamples", [0, 1, 2])
@pytest.mark.parametrize("grid", [4, 5, 7])
def test_grids_that_do_not_halve_evenly_come_back_whole(tiny_config, grid, downsamples):
    fields = {
        **_own(tiny_config),
        "image_size": grid * 8,
        "structure_num_downsamples": downsamples,
        "dynamics_num_downsamples": downsamples,
    }
    model = VidTwinModel(VidTwinConfig(**fields)).eval()
    video = torch.zeros(1, 4, 3, grid * 8, grid * 8)
    assert model(video).reconstruction.shape == video.shape
