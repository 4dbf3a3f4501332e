"""Starts of training."""

import copy

import pytest
import torch

from vidtwin import VidTwinConfig, VidTwinModel
from vidtwin.training.initialisation import start_weights
from vidtwin.training.recipes import load_recipe


@pytest.fixture
def demo_sized() -> VidTwinModel:
    torch.manual_seed(0)
    return VidTwinModel(VidTwinConfig(**load_recipe("demo").model)).eval()


def test_the_released_start_changes_nothing(tiny_model):
    model = copy.deepcopy(tiny_model)
    start_weights(model, "released")
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), tiny_model.parameters(), strict=True))


def test_the_variance_preserving_start_lets_the_latents_tell_clips_apart(tiny_model, tiny_config):
    """From the released start two clips differ by far less in the structure latents than their spread."""
    size = (2, tiny_config.num_frames, 3, tiny_config.image_size, tiny_config.image_size)
    videos = torch.randn(size, generator=torch.Generator().manual_seed(0)).clamp(-1, 1)

    def difference(model):
        first, second = model.encode(videos).structure.mean.detach()
        return (first - second).std().item()

    model = copy.deepcopy(tiny_model)
    torch.manual_seed(0)
    start_weights(model, "variance_preserving")
    assert difference(model) > 10 * difference(tiny_model)


def test_the_variance_preserving_start_keeps_the_queries_apart(demo_sized):
    """How much of what the tokens say of the frames differs between the queries, biases left out."""

    def share(model):
        size = (2, 16, 3, 112, 112)
        videos = torch.rand(size, generator=torch.Generator().manual_seed(0)) * 2 - 1
        videos = videos.cumsum(-1) / 8  # smooth, as pictures are
        with torch.no_grad():
            tokens = model.structure.encoder.tokens(model.encoder(model.patch_embed(videos)))
        tokens = tokens - tokens.mean(dim=(0, 2, 3), keepdim=True)
        return (tokens.var(1, unbiased=False).mean() / tokens.square().mean()).item()

    start_weights(demo_sized, "variance_preserving")
    assert share(demo_sized) > 0.3


def test_the_variance_preserving_start_leaves_no_frame_and_no_place_without_features(demo_sized):
    start_weights(demo_sized, "variance_preserving")
    config, generator = demo_sized.config, torch.Generator().manual_seed(0)
    structure = torch.randn((2, *config.structure_shape), generator=generator)
    dynamics = torch.randn((2, *config.dynamics_shape), generator=generator)
    with torch.no_grad():
        still, moving = demo_sized.structure.decode(structure) > 0, demo_sized.dynamics.decode(dynamics) > 0
    assert still.float().mean(dim=(0, 2, 3, 4)).min() > 0.4  # each frame
    assert moving.float().mean(dim=(0, 1, 3, 4)).min() > 0.4  # each row of patches
    assert moving.float().mean(dim=(0, 1, 2, 4)).min() > 0.4  # each column


def test_an_unknown_start_is_refused_by_name(tiny_model):
    with pytest.raises(ValueError, match="start must be one of released, variance_preserving, got 'fast'"):
        start_weights(tiny_model, "fast")
