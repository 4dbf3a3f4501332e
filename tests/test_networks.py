"""Networks of LPIPS and FVD: missing or wrong files are named, nothing unchecked is loaded."""

import hashlib

import huggingface_hub
import numpy as np
import pytest
import torch
from torch import nn

from vidtwin.metrics import networks
from vidtwin.metrics.networks import MissingWeightsError, i3d_features, load_i3d, load_lpips


class Detector(nn.Module):
    """A stand-in with the I3D file's call: what it is given, pooled to 2 x 4 x 4 x 3 numbers."""

    def forward(
        self, x: torch.Tensor, rescale: bool = True, resize: bool = True, return_features: bool = False
    ):
        assert not rescale and not resize and return_features
        return nn.functional.adaptive_avg_pool3d(x, (2, 4, 4)).flatten(1)


@pytest.fixture
def file(tmp_path):
    torch.jit.script(Detector()).save(tmp_path / "detector.pt")
    return tmp_path / "detector.pt"


def clip(frames: int = 9, height: int = 30, width: int = 40) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (frames, height, width, 3), dtype=np.uint8)


def test_the_right_file_is_loaded_and_gives_features(file, monkeypatch):
    monkeypatch.setattr(networks, "I3D_SHA256", hashlib.sha256(file.read_bytes()).hexdigest())
    features = i3d_features(load_i3d(file), clip())
    assert features.shape == (96,) and features.dtype == torch.float64


def test_a_file_with_another_checksum_is_never_opened(file, monkeypatch):
    monkeypatch.setattr(torch.jit, "load", lambda *_, **__: pytest.fail("it was loaded"))
    with pytest.raises(ValueError, match=r"detector\.pt is not the I3D file of FVD"):
        load_i3d(file)


def test_the_file_comes_from_the_hub_by_its_name(file, monkeypatch):
    monkeypatch.setattr(networks, "I3D_SHA256", hashlib.sha256(file.read_bytes()).hexdigest())
    asked = []
    monkeypatch.setattr(networks, "hf_hub_download", lambda *names: asked.append(names) or str(file))
    load_i3d()
    assert asked == [("flateon/FVD-I3D-torchscript", "i3d_torchscript.pt")]


def test_without_the_network_the_missing_file_is_named(monkeypatch):
    def offline(*_):
        raise huggingface_hub.errors.LocalEntryNotFoundError("offline")

    monkeypatch.setattr(networks, "hf_hub_download", offline)
    with pytest.raises(MissingWeightsError, match=r"i3d_torchscript\.pt .*flateon.*detector="):
        load_i3d()


def test_pixels_reach_the_detector_as_it_wants_them():
    """Batch, colours, frames, 224 x 224, from -1 to 1; squashed whole, or the centre."""
    seen = []

    def detector(x, **_):
        seen.append(x)
        return torch.zeros(1, 400)

    wide = np.zeros((9, 112, 224, 3), np.uint8)
    wide[:, :, 56:168] = 255
    i3d_features(detector, wide)
    i3d_features(detector, wide, crop=True)
    squashed, cropped = seen
    assert squashed.shape == cropped.shape == (1, 3, 9, 224, 224)
    assert squashed.min() == -1 and squashed.max() == 1
    assert cropped[..., 2:-2].min() == 1 and (squashed == -1).float().mean() == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("wrong", [clip(8), clip()[0], clip()[..., :1]])
def test_clips_that_the_detector_cannot_take_are_refused(wrong):
    with pytest.raises(ValueError, match="9 frames or more"):
        i3d_features(Detector(), wrong)


def test_missing_weights_of_lpips_are_named(monkeypatch, tmp_path):
    def no_network(*args, **kwargs):
        raise OSError("no network")

    monkeypatch.setattr(torch.hub, "download_url_to_file", no_network)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(MissingWeightsError, match=r"alexnet-owt-7be5be79.pth in .*Put the file there\.$"):
        load_lpips("alex")


def test_another_net_is_refused_by_name():
    with pytest.raises(ValueError, match="net must be one of vgg, alex, squeeze, got 'resnet'"):
        load_lpips("resnet")
