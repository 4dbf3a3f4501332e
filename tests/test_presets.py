"""The paper's scales, latent sizes and ablations."""

import pytest
import torch

from vidtwin import VidTwinModel
from vidtwin.configuration import ABLATIONS, LATENT_SIZES, SCALES, vidtwin_config


@pytest.mark.parametrize(
    ("scale", "released", "unused"),
    [("small", 106_922_034, 788_736), ("base", 312_701_490, 1_182_720), ("large", 1_239_660_594, 2_364_672)],
)
def test_a_scale_has_the_released_parameters_without_the_two_unused_layers(scale, released, unused):
    with torch.device("meta"):
        model = VidTwinModel(vidtwin_config(scale, structure_channels=8))
    hidden, pixels = SCALES[scale]["hidden_size"], 3 * 16 * 16
    # the encoder's final layer (norm table, Linear to pixels) and the decoder's patch embedding
    assert unused == (2 * hidden + hidden * pixels + pixels) + (pixels * hidden + hidden)
    assert sum(parameter.numel() for parameter in model.parameters()) == released - unused


@pytest.mark.parametrize("size", LATENT_SIZES)
def test_latent_sizes_are_named_by_their_count_of_numbers(size):
    config = vidtwin_config(latent_size=size)
    assert config.num_latents == int(size)
    assert config.structure_size == 7


@pytest.mark.parametrize("ablation", ABLATIONS)
def test_every_ablation_encodes_to_the_same_shapes_and_decodes(ablation, tiny_config):
    config = type(tiny_config)(**{name: getattr(tiny_config, name) for name in tiny_config._own_fields()})
    for name, value in ABLATIONS[ablation].items():
        setattr(config, name, value)
    output = VidTwinModel(config).eval()(torch.zeros(2, 4, 3, 32, 32))
    assert output.structure.shape[1:] == tiny_config.structure_shape
    assert output.dynamics.shape[1:] == tiny_config.dynamics_shape
    assert output.reconstruction.shape == (2, 4, 3, 32, 32)


def test_unknown_names_list_the_known():
    with pytest.raises(ValueError, match="scale must be one of small, base, large, got 'huge'"):
        vidtwin_config("huge")
    with pytest.raises(ValueError, match="latent_size must be one of 4928, 5184, 4144"):
        vidtwin_config(latent_size="1")
