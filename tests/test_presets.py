"""The paper's scales, latent sizes and ablations."""

import pytest
import torch

from vidtwin import VidTwinConfig, VidTwinModel
from vidtwin.configuration import ABLATIONS, LATENT_SIZES, SCALES, vidtwin_config

RELEASED_PARAMETERS = {"small": 106_922_034, "base": 312_701_490, "large": 1_239_660_594}


@pytest.mark.parametrize("scale", SCALES)
def test_a_scale_has_the_released_models_parameters_without_its_unused_layers(scale: str) -> None:
    config = vidtwin_config(scale, structure_channels=8)
    with torch.device("meta"):
        model = VidTwinModel(config)
    hidden, pixels = config.hidden_size, 3 * 16 * 16
    encoders_head = 2 * hidden + hidden * pixels + pixels
    decoders_patch_embedding = pixels * hidden + hidden
    parameters = sum(parameter.numel() for parameter in model.parameters())
    assert parameters == RELEASED_PARAMETERS[scale] - encoders_head - decoders_patch_embedding


def test_no_arguments_give_the_default_config() -> None:
    assert vidtwin_config().to_dict() == VidTwinConfig().to_dict()


@pytest.mark.parametrize("size", LATENT_SIZES)
def test_a_latent_size_is_named_by_its_count(size: str) -> None:
    assert vidtwin_config(latent_size=size).num_latents == int(size)


@pytest.mark.parametrize(
    ("size", "structure", "dynamics"),
    [
        ("4928", (16, 4, 7, 7), (16, 8, 14)),
        ("5184", (16, 4, 7, 7), (16, 16, 8)),
        ("4144", (12, 4, 7, 7), (16, 8, 14)),
    ],
)
def test_a_latent_size_has_the_papers_shapes(
    size: str, structure: tuple[int, ...], dynamics: tuple[int, ...]
) -> None:
    config = vidtwin_config(latent_size=size)
    assert config.structure_shape == structure and config.dynamics_shape == dynamics


def test_there_are_the_papers_three_latent_sizes() -> None:
    assert set(LATENT_SIZES) == {"4928", "5184", "4144"}


def test_an_override_comes_last() -> None:
    assert vidtwin_config("small", num_query_tokens=3).num_query_tokens == 3


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"scale": "huge"}, "scale must be one of small, base, large, got 'huge'"),
        ({"latent_size": "4929"}, "latent_size must be one of 4928, 5184, 4144, got '4929'"),
        ({"hidden": 64}, "no field 'hidden'. Did you mean 'hidden_size'"),
    ],
)
def test_an_unknown_name_is_refused(choice: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        vidtwin_config(**choice)


@pytest.mark.parametrize("ablation", ABLATIONS)
def test_an_ablation_runs(ablation: str, tiny_config: VidTwinConfig) -> None:
    for name, value in ABLATIONS[ablation].items():
        setattr(tiny_config, name, value)
    video = torch.zeros(1, 4, 3, 32, 32)
    output = VidTwinModel(tiny_config).eval()(video)
    assert output.reconstruction.shape == video.shape
    assert output.structure.shape[1:] == tiny_config.structure_shape
    assert output.dynamics.shape[1:] == tiny_config.dynamics_shape


@pytest.mark.parametrize("ablation", ABLATIONS)
def test_an_ablation_changes_the_model(ablation: str, tiny_config: VidTwinConfig) -> None:
    names = set(VidTwinModel(tiny_config).state_dict())
    for name, value in ABLATIONS[ablation].items():
        setattr(tiny_config, name, value)
    assert set(VidTwinModel(tiny_config).state_dict()) != names
