"""The textbook twin computes what the model computes, with the same tensors."""

import pytest
import torch

from benchmarks.textbook import textbook_twin
from vidtwin import VidTwinConfig, VidTwinModel


@pytest.fixture
def drawn_model(tiny_config: VidTwinConfig) -> VidTwinModel:
    """Every weight drawn at random: the released start has zero temporal projections, which would hide a
    mask."""
    torch.manual_seed(0)
    model = VidTwinModel(tiny_config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.2)
    return model


def worst(first: torch.Tensor, second: torch.Tensor) -> float:
    """Largest difference relative to the largest value."""
    return ((first - second).abs().max() / second.abs().max()).item()


@torch.no_grad()
def test_the_twin_reconstructs_what_the_model_reconstructs(drawn_model: VidTwinModel) -> None:
    config = drawn_model.config
    video = torch.rand(2, config.num_frames, 3, config.image_size, config.image_size) * 2 - 1
    assert worst(textbook_twin(drawn_model)(video).reconstruction, drawn_model(video).reconstruction) < 1e-5


@torch.no_grad()
def test_the_twin_encodes_what_the_model_encodes(drawn_model: VidTwinModel) -> None:
    config = drawn_model.config
    video = torch.rand(1, config.num_frames, 3, config.image_size, config.image_size) * 2 - 1
    ours, twins = drawn_model.encode(video), textbook_twin(drawn_model).encode(video)
    assert worst(twins.structure.mean, ours.structure.mean) < 1e-5
    assert worst(twins.dynamics.mean, ours.dynamics.mean) < 1e-5


def test_the_twin_holds_the_same_tensors_not_copies(drawn_model: VidTwinModel) -> None:
    ours = {parameter.data_ptr() for parameter in drawn_model.parameters()}
    assert {parameter.data_ptr() for parameter in textbook_twin(drawn_model).parameters()} == ours


def test_making_a_twin_leaves_the_model_as_it_was(drawn_model: VidTwinModel) -> None:
    before = (drawn_model.config._attn_implementation, str(drawn_model))
    textbook_twin(drawn_model)
    assert (drawn_model.config._attn_implementation, str(drawn_model)) == before


def test_the_twin_uses_no_fused_attention(drawn_model: VidTwinModel, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise AssertionError("fused attention called")

    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", refused)
    config = drawn_model.config
    textbook_twin(drawn_model)(torch.zeros(1, config.num_frames, 3, config.image_size, config.image_size))
