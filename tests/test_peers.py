"""Other codecs behind one call: all frames back or told, their latents counted."""

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import Emu3VQVAE, Emu3VQVAEConfig
from video_maker import smooth_frames

from vidtwin.evaluation.peers import DIFFUSERS, H264Codec, open_codec

diffusers = pytest.importorskip(
    "diffusers", reason="the newest diffusers needs a newer huggingface_hub", exc_type=ImportError
)

CPU = torch.device("cpu")
FPS = 25.0


def clip(frames: int = 16, size: int = 32) -> Tensor:
    pixels = torch.from_numpy(smooth_frames(frames, size, size))
    return pixels.movedim(-1, 1).float() / 127.5 - 1


@pytest.fixture
def wan(tmp_path):
    torch.manual_seed(0)
    model = diffusers.AutoencoderKLWan(base_dim=8, z_dim=4, dim_mult=[1, 1, 1, 1], num_res_blocks=1)
    model.save_pretrained(tmp_path / "wan")
    return tmp_path / "wan"


@torch.no_grad()
def test_wan_gives_all_frames_back_though_it_takes_four_and_one(wan):
    """Fed 16 frames it would silently give 13."""
    codec = open_codec(f"wan:{wan}", CPU, FPS)
    assert codec.reconstruct(clip(16)).shape == (16, 3, 32, 32)
    assert (codec.numbers, codec.tokens) == (4 * 5 * 4 * 4, 5 * 2 * 2)
    assert codec.rate(clip(16)) == codec.numbers / (16 * 3 * 32 * 32)
    assert codec.parameters == sum(weight.numel() for weight in codec.model.parameters())


@torch.no_grad()
def test_the_reconstruction_is_the_models_own(wan):
    model = diffusers.AutoencoderKLWan.from_pretrained(wan).eval()
    whole = clip(17)
    video = whole.movedim(1, 0)[None]
    wanted = model.decode(model.encode(video).latent_dist.mode()).sample[0].movedim(0, 1)
    torch.testing.assert_close(open_codec(f"wan:{wan}", CPU, FPS).reconstruct(whole), wanted)


@torch.no_grad()
def test_sides_that_a_codec_cannot_take_grow_and_are_cut_back(wan):
    codec = open_codec(f"wan:{wan}", CPU, FPS)
    odd = clip(5, 40)[..., :36]
    assert codec.reconstruct(odd).shape == odd.shape
    assert codec.numbers == 4 * 2 * 6 * 6  # of 48 pixels
    assert codec.trained and not open_codec("emu3:random", CPU, FPS).trained


@pytest.mark.parametrize("kind", DIFFUSERS)
def test_every_kind_is_a_class_of_diffusers(kind):
    assert hasattr(diffusers, DIFFUSERS[kind].cls)


@torch.no_grad()
def test_emu3s_codes_are_counted(tmp_path):
    torch.manual_seed(0)
    config = Emu3VQVAEConfig(
        codebook_size=16, embed_dim=4, latent_channels=4, base_channels=32, channel_multiplier=[1, 1],
        num_res_blocks=1, attn_resolutions=[1], hidden_size=32, temporal_downsample_factor=4,
    )  # fmt: skip
    Emu3VQVAE(config).save_pretrained(tmp_path / "emu")
    codec = open_codec(f"emu3:{tmp_path / 'emu'}", CPU, FPS)
    assert codec.reconstruct(clip(7)).shape == (7, 3, 32, 32)
    assert codec.tokens == 2 * 16 * 16 and codec.numbers == 4 * codec.tokens


@torch.no_grad()
def test_a_vidtwin_model_is_its_own_reconstruction(tiny_model, tmp_path):
    tiny_model.save_pretrained(tmp_path / "tiny")
    codec = open_codec(str(tmp_path / "tiny"), CPU, FPS)
    torch.testing.assert_close(codec.reconstruct(clip(4)), tiny_model(clip(4)[None]).reconstruction[0])
    assert codec.reconstruct(clip(3)).shape[0] == 3
    config = tiny_model.config
    assert codec.numbers == config.num_latents
    (queries, _, height, width), (frames, _, sides) = config.structure_shape, config.dynamics_shape
    halves = [-(-size // 2) for size in (queries, height, width, frames, sides)]
    assert codec.tokens == halves[0] * halves[1] * halves[2] + halves[3] * halves[4] > 2
    with pytest.raises(ValueError, match="takes 4 frames of 32 pixels, got 4 of 48"):
        codec.reconstruct(clip(4, 48))


@pytest.mark.parametrize("bits", [20_000, 60_000])
def test_h264_spends_no_more_than_its_bits(bits, monkeypatch):
    from vidtwin.evaluation import peers

    real, spent = peers._h264, []

    def noted(*arguments):
        found = real(*arguments)
        spent.append(found[0])
        return found

    monkeypatch.setattr(peers, "_h264", noted)
    noise = np.random.default_rng(0).integers(0, 60, (16, 3, 32, 32)) / 127.5
    codec = H264Codec(bits, FPS)
    found = codec.reconstruct(clip() * 0.5 + torch.from_numpy(noise).float() - 0.2)
    assert found.shape == (16, 3, 32, 32) and spent[-1] <= bits
    assert codec.rate(clip()) == pytest.approx(spent[-1] / 16 / (16 * 3 * 32 * 32))


def test_h264_takes_odd_sizes():
    odd = clip(4, 32)[..., :31, :29]
    codec = H264Codec(200_000, FPS)
    found = codec.reconstruct(odd)
    assert found.shape == odd.shape and (found - odd).abs().mean() < 0.05


def test_bits_that_are_too_few_are_overspent_and_told():
    codec = H264Codec(10, FPS)
    codec.reconstruct(clip())
    assert codec.sent > 10 and codec.rate(clip()) == codec.sent / 16 / (16 * 3 * 32 * 32)


def test_more_bits_are_nearer():
    near, far = (H264Codec(bits, FPS).reconstruct(clip()) - clip() for bits in (60_000, 6_000))
    assert near.abs().mean() < far.abs().mean()


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("h264:none", "bits a clip"),
        ("h264:0", "bits a clip"),
        ("tiyn", "neither a model's folder nor a Hub id"),
        ("foo:random", "neither a model's folder nor a Hub id"),
    ],
)
def test_other_names_are_refused(spec, message):
    with pytest.raises(ValueError, match=message):
        open_codec(spec, CPU, FPS)


def test_missing_weights_are_refused(tmp_path):
    with pytest.raises(ValueError, match="holds no weights for AutoencoderKLWan"):
        open_codec(f"wan:{tmp_path}", CPU, FPS)


def test_a_missing_library_is_named(monkeypatch):
    import builtins

    real = builtins.__import__

    def without(name, *rest, **options):
        if name == "diffusers":
            raise ImportError(name)
        return real(name, *rest, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ValueError, match="pip install diffusers"):
        open_codec("wan:random", CPU, FPS)
