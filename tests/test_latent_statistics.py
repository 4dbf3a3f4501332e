"""Latent statistics are those of all posterior means together."""

import pytest
import torch

from vidtwin import VidTwinConfig
from vidtwin.training.latent_statistics import latent_statistics


def test_they_are_the_mean_and_deviation_of_each_channel_over_all_batches(tiny_model):
    generator = torch.Generator().manual_seed(0)
    clips = torch.randint(0, 256, (5, 4, 3, 32, 32), dtype=torch.uint8, generator=generator)
    found = latent_statistics(
        tiny_model, [{"pixel_values_videos": clips[:2]}, {"pixel_values_videos": clips[2:]}]
    )
    with torch.no_grad():
        posterior = tiny_model.encode(clips.float() / 127.5 - 1)
    for part in ("structure", "dynamics"):
        values = getattr(posterior, part).mean.movedim(2, 0).flatten(1)
        torch.testing.assert_close(torch.tensor(found[f"{part}_mean"]), values.mean(1), rtol=1e-4, atol=1e-6)
        deviation = values.std(1, unbiased=False)
        torch.testing.assert_close(torch.tensor(found[f"{part}_std"]), deviation, rtol=1e-3, atol=1e-6)
    VidTwinConfig.from_dict({**tiny_model.config.to_dict(), **found})  # the config takes them


def test_no_clip_is_an_error(tiny_model):
    with pytest.raises(ValueError, match="at least one clip"):
        latent_statistics(tiny_model, [])
