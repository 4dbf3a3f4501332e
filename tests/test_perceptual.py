"""LPIPS as a loss: frozen, float32, and a helpful error without its weights."""

import lpips
import pytest
import torch
from torch import nn

from vidtwin.metrics.networks import MissingWeightsError
from vidtwin.training.perceptual import PerceptualLoss, load_perceptual


class Distance(nn.Module):
    """A stand-in with the call of lpips.LPIPS: squared distance of one trained convolution's features."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, first, second):
        return (self.conv(first) - self.conv(second)).square().mean(dim=(1, 2, 3), keepdim=True)


def test_it_is_frozen_and_stays_in_evaluation_mode():
    loss = PerceptualLoss(Distance()).train()
    assert not loss.network.training
    assert not any(parameter.requires_grad for parameter in loss.parameters())


def test_it_computes_in_float32_under_autocast_and_sends_gradients_to_the_reconstruction():
    video, other = torch.rand(1, 2, 3, 8, 8), torch.rand(1, 2, 3, 8, 8, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        value = PerceptualLoss(Distance())(video, other.bfloat16())
    value.backward()
    assert value.dtype == torch.float32 and other.grad.abs().sum() > 0


def test_the_real_network_is_zero_for_equal_frames_and_grows_with_the_difference():
    """The lpips package's network with its own heads; its trunk drawn at random, as no weights are needed."""
    torch.manual_seed(0)
    loss = PerceptualLoss(lpips.LPIPS(net="squeeze", pnet_rand=True, verbose=False))
    video = torch.rand(1, 1, 3, 64, 64) * 2 - 1
    assert loss(video, video).item() == 0
    assert loss(video, -video).item() > loss(video, video * 0.9).item() > 0


def test_missing_weights_are_named_with_the_way_out(monkeypatch, tmp_path):
    def no_network(*args, **kwargs):
        raise OSError("no network")

    monkeypatch.setattr(torch.hub, "download_url_to_file", no_network)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(MissingWeightsError, match=r"vgg16-397923af.pth in .*perceptual_weight: 0"):
        load_perceptual("vgg")
