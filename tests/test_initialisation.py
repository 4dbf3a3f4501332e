"""Starts of training."""

import copy

import pytest
import torch

from vidtwin.training.initialisation import start_weights


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


def test_an_unknown_start_is_refused_by_name(tiny_model):
    with pytest.raises(ValueError, match="start must be one of released, variance_preserving, got 'fast'"):
        start_weights(tiny_model, "fast")
