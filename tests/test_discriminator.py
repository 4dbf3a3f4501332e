"""PatchDiscriminator: the released network, and its options."""

import pytest
import torch

from vidtwin.training.discriminator import PatchDiscriminator


def test_it_has_the_released_number_of_parameters():
    assert sum(parameter.numel() for parameter in PatchDiscriminator().parameters()) == 2_765_633


def test_frames_are_judged_one_by_one():
    torch.manual_seed(0)
    discriminator = PatchDiscriminator(norm="group").eval()
    video = torch.rand(2, 3, 3, 32, 32) * 2 - 1
    whole = discriminator(video)
    assert whole.shape == (6, 1, 2, 2)
    torch.testing.assert_close(whole[4:5], discriminator(video[1:, 1:2]))


def test_three_dimensions_see_the_order_of_frames():
    torch.manual_seed(0)
    discriminator = PatchDiscriminator(dims=3, norm="group").eval()
    video = torch.rand(1, 5, 3, 32, 32) * 2 - 1
    logits = discriminator(video)
    assert logits.shape == (1, 1, 5, 2, 2)
    assert not torch.allclose(discriminator(video.flip(1)).flip(2), logits, atol=1e-4)


@pytest.mark.parametrize(("norm", "depends"), [("batch", True), ("group", False)])
def test_only_batch_norm_mixes_the_frames_of_a_batch(norm, depends):
    torch.manual_seed(0)
    discriminator = PatchDiscriminator(norm=norm).train()
    video = torch.rand(2, 2, 3, 32, 32) * 2 - 1
    alone, together = discriminator(video[:1]), discriminator(video)[:2]
    assert (not torch.allclose(alone, together, atol=1e-4)) is depends


@pytest.mark.parametrize("dims", [2, 3])
def test_the_least_size_is_the_least(dims):
    least = PatchDiscriminator.least_size()
    discriminator = PatchDiscriminator(norm="group", dims=dims)
    assert discriminator(torch.zeros(1, 3, 3, least, least)).numel() > 0
    with pytest.raises(RuntimeError):
        discriminator(torch.zeros(1, 3, 3, least - 1, least - 1))


@pytest.mark.parametrize("options", [{"dims": 4}, {"norm": "layer"}])
def test_unknown_options_are_refused(options):
    with pytest.raises(ValueError, match="must be"):
        PatchDiscriminator(**options)
