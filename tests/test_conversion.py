"""Released checkpoints come in and go out bit for bit; anything else is refused by name."""

import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from vidtwin import VidTwinModel
from vidtwin.configuration import ABLATIONS
from vidtwin.modeling_vidtwin.conversion import (
    ConversionError,
    convert_to_folder,
    model_from_released,
    read_released,
    released_config,
    released_from_model,
)

GOLDEN = Path(__file__).parent / "golden"
CHECKPOINT = GOLDEN / "official_tiny_A.ckpt"


@pytest.fixture(scope="module")
def released():
    return read_released(CHECKPOINT)


def test_the_configuration_follows_from_the_shapes(released):
    config = released_config(released, num_attention_heads=4)
    assert (config.image_size, config.patch_size, config.num_frames) == (24, 4, 8)
    assert (config.hidden_size, config.num_hidden_layers, config.mlp_ratio) == (48, 2, 4)
    assert (config.num_query_tokens, config.qformer_hidden_size, config.qformer_num_hidden_layers) == (8, 16, 6)
    assert (config.structure_channels, config.structure_init_channels, config.dynamics_channels) == (4, 16, 8)
    assert (config.structure_num_downsamples, config.dynamics_num_downsamples) == (1, 1)


def test_a_converted_folder_loads_and_gives_the_released_reconstruction(tmp_path):
    convert_to_folder(CHECKPOINT, tmp_path / "model", num_attention_heads=4)
    model = VidTwinModel.from_pretrained(tmp_path / "model")
    golden = load_file(GOLDEN / "official_tiny_A.safetensors")
    with torch.no_grad():
        reconstruction = model(golden["input"].permute(0, 2, 1, 3, 4)).reconstruction.permute(0, 2, 1, 3, 4)
    error = (reconstruction - golden["reconstruction"]).abs().max() / golden["reconstruction"].abs().max()
    assert error < 2e-5


def test_every_used_tensor_comes_back_bit_for_bit(released):
    model = model_from_released(released, released_config(released, 4))
    back, left_out = released_from_model(model)
    unused = {name for name in released if name.startswith(("encoder.final", "decoder.x_emb", "loss."))}
    assert set(back) == set(released) - unused
    for name, tensor in back.items():
        assert tensor.shape == released[name].shape
        if "pos_embed" in name:  # tables of sines, not weights: another numpy may round the last bit otherwise
            assert (tensor - released[name]).abs().max() < 1e-15
        else:
            assert torch.equal(tensor, released[name]), name
    assert left_out == ["encoder.final_layer.*", "decoder.x_embedder.*", "loss.*"]


def test_a_base_checkpoint_lends_what_the_model_does_not_use(released):
    model = model_from_released(released, released_config(released, 4))
    back, left_out = released_from_model(model, base=released)
    assert set(back) == set(released)
    assert left_out == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda t: t.pop("motion_head.bias"), "missing tensors: motion_head.bias"),
        (lambda t: t.update({"extra.weight": torch.zeros(1)}), "unexpected tensors: extra.weight"),
        (lambda t: t.update({"motion_head.bias": torch.zeros(3)}), r"misshapen tensors: motion_head.bias \(3,\)"),
    ],
)
def test_a_checkpoint_that_does_not_fit_names_the_tensor(released, change, reason):
    tensors = dict(released)
    change(tensors)
    with pytest.raises(ConversionError, match=reason):
        model_from_released(tensors, released_config(released, 4))


def test_a_checkpoint_without_a_telling_tensor_names_it(released):
    tensors = {name: tensor for name, tensor in released.items() if name != "motion_emb.0.weight"}
    with pytest.raises(ConversionError, match=r"no tensor 'motion_emb\.0\.weight'"):
        released_config(tensors, 4)


class Touch:
    """An object whose unpickling would create a file."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def test_nothing_is_executed_from_a_file(tmp_path):
    with open(tmp_path / "evil.ckpt", "wb") as file:
        pickle.dump({"state_dict": Touch(tmp_path / "executed")}, file)
    with pytest.raises(ConversionError, match="not a torch checkpoint"):
        read_released(tmp_path / "evil.ckpt")
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("content", [b"", b"not a checkpoint"])
def test_a_file_that_is_no_checkpoint_is_refused(tmp_path, content):
    (tmp_path / "text.ckpt").write_bytes(content)
    with pytest.raises(ConversionError, match="not a torch checkpoint"):
        read_released(tmp_path / "text.ckpt")


@pytest.mark.parametrize("ablation", ABLATIONS)
def test_an_ablation_has_no_released_form(tiny_config, ablation):
    fields = {name: getattr(tiny_config, name) for name in tiny_config._own_fields()} | ABLATIONS[ablation]
    with pytest.raises(ConversionError, match="belongs to an ablation"):
        released_from_model(VidTwinModel(type(tiny_config)(**fields)))
