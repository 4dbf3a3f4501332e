"""Released checkpoints come in and go out bit for bit; anything else is refused by name."""

import pickle
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from vidtwin import VidTwinConfig, VidTwinModel
from vidtwin.configuration import ABLATIONS
from vidtwin.modeling_vidtwin.conversion import (
    ConversionError,
    convert_to_folder,
    model_from_released,
    our_name,
    read_released,
    released_config,
    released_from_model,
    released_name,
)

GOLDEN = Path(__file__).parent / "golden"
CHECKPOINT = GOLDEN / "official_tiny_A.ckpt"
UNUSED = ("encoder.final_layer.", "decoder.x_embedder.", "loss.")
TABLES = ("pos_embed", "pos_embed_temporal")

Tensors = dict[str, Tensor]


@pytest.fixture(scope="module")
def checkpoint() -> Tensors:
    return read_released(CHECKPOINT)


@pytest.fixture
def tensors(checkpoint: Tensors) -> Tensors:
    """The checkpoint's tensors in a dict that a test may change."""
    return dict(checkpoint)


@pytest.fixture(scope="module")
def model(checkpoint: Tensors) -> VidTwinModel:
    return model_from_released(checkpoint, released_config(checkpoint, 4))


def saved(content: object, folder: Path) -> Path:
    torch.save(content, folder / "saved.ckpt")
    return folder / "saved.ckpt"


# In


def test_the_released_configuration_follows_from_the_shapes(checkpoint: Tensors) -> None:
    wanted = VidTwinConfig(
        image_size=24,
        patch_size=4,
        num_frames=8,
        hidden_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_query_tokens=8,
        qformer_hidden_size=16,
        structure_channels=4,
        structure_init_channels=16,
        dynamics_channels=8,
    )
    assert released_config(checkpoint, num_attention_heads=4).to_dict() == wanted.to_dict()


def test_the_head_counts_are_the_released_models_unless_given(checkpoint: Tensors) -> None:
    config = released_config(checkpoint)
    assert (config.num_attention_heads, config.qformer_num_attention_heads) == (12, 8)


def test_a_converted_folder_loads_and_gives_the_released_numbers(tmp_path: Path) -> None:
    convert_to_folder(CHECKPOINT, tmp_path / "new" / "folder", num_attention_heads=4)
    model = VidTwinModel.from_pretrained(tmp_path / "new" / "folder")
    golden = load_file(GOLDEN / "official_tiny_A.safetensors")
    with torch.no_grad():
        output = model(golden["input"].transpose(1, 2))
    error = (output.reconstruction.transpose(1, 2) - golden["reconstruction"]).abs().max()
    assert error <= 2e-5 * golden["reconstruction"].abs().max()
    torch.testing.assert_close(output.kl_loss, golden["kl_loss"], rtol=2e-5, atol=0)


def test_a_converted_model_is_the_one_in_the_folder(tmp_path: Path) -> None:
    model = convert_to_folder(CHECKPOINT, tmp_path, num_attention_heads=4)
    loaded = VidTwinModel.from_pretrained(tmp_path).state_dict()
    assert loaded.keys() == model.state_dict().keys() and not model.training
    assert all(torch.equal(loaded[name], tensor) for name, tensor in model.state_dict().items())


def test_every_released_name_has_one_of_ours_and_back(checkpoint: Tensors) -> None:
    used = [name for name in checkpoint if not name.startswith(UNUSED) and name.split(".")[-1] not in TABLES]
    ours = [our_name(name) for name in used]
    assert len(set(ours)) == len(used) and [released_name(name) for name in ours] == used


def test_the_tensors_may_lie_there_without_a_state_dict_around_them(
    checkpoint: Tensors, tmp_path: Path
) -> None:
    assert read_released(saved(checkpoint, tmp_path)).keys() == checkpoint.keys()


# Back


def test_every_used_tensor_comes_back_bit_for_bit(checkpoint: Tensors, model: VidTwinModel) -> None:
    back, _ = released_from_model(model)
    assert set(back) == {name for name in checkpoint if not name.startswith(UNUSED)}
    weights = [name for name in back if name.split(".")[-1] not in TABLES]
    assert [name for name in weights if back[name].dtype != checkpoint[name].dtype] == []
    assert [name for name in weights if not torch.equal(back[name], checkpoint[name])] == []


def test_the_position_tables_come_back_in_float64(checkpoint: Tensors, model: VidTwinModel) -> None:
    back, _ = released_from_model(model)
    for name in (f"{part}.{table}" for part in ("encoder", "decoder") for table in TABLES):
        assert back[name].dtype == checkpoint[name].dtype == torch.float64
        # Sines may differ in the last bit from one numpy to the next.
        torch.testing.assert_close(back[name], checkpoint[name], rtol=0, atol=1e-15)


def test_what_has_no_base_is_listed_as_left_out(model: VidTwinModel) -> None:
    assert released_from_model(model)[1] == [f"{prefix}*" for prefix in UNUSED]


def test_a_base_lends_the_unused_layers_and_the_losses_bit_for_bit(
    checkpoint: Tensors, model: VidTwinModel
) -> None:
    back, left_out = released_from_model(model, base=checkpoint)
    assert left_out == [] and back.keys() == checkpoint.keys()
    assert all(torch.equal(back[name], checkpoint[name]) for name in checkpoint if name.startswith(UNUSED))


def test_a_base_lends_no_weight_that_the_model_uses(tensors: Tensors, model: VidTwinModel) -> None:
    base = {name: torch.full_like(tensor, 7) for name, tensor in tensors.items()}
    back, _ = released_from_model(model, base=base)
    assert torch.equal(back["bottle_down.weight"], tensors["bottle_down.weight"])


def test_a_deeper_base_lends_none_of_its_blocks(tensors: Tensors, model: VidTwinModel) -> None:
    names = set(tensors)
    tensors["encoder.blocks.2.mlp.fc1.bias"] = torch.zeros(192)
    assert set(released_from_model(model, base=tensors)[0]) == names


def test_what_the_base_lacks_is_listed_as_left_out(tensors: Tensors, model: VidTwinModel) -> None:
    base = {name: tensor for name, tensor in tensors.items() if not name.startswith("loss.")}
    assert released_from_model(model, base=base)[1] == ["loss.*"]


def test_what_came_back_can_be_converted_again(model: VidTwinModel, tmp_path: Path) -> None:
    back = read_released(saved({"state_dict": released_from_model(model)[0]}, tmp_path))
    again = model_from_released(back, released_config(back, 4)).state_dict()
    assert all(torch.equal(again[name], tensor) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize("ablation", ABLATIONS)
def test_an_ablation_has_no_released_form(ablation: str, tiny_config: VidTwinConfig) -> None:
    for name, value in ABLATIONS[ablation].items():
        setattr(tiny_config, name, value)
    with pytest.raises(ConversionError, match="belongs to an ablation"):
        released_from_model(VidTwinModel(tiny_config))


# Checkpoints that do not fit


def without(name: str) -> Callable[[Tensors], object]:
    return lambda tensors: tensors.pop(name)


def with_another(name: str, change: Callable[[Tensor], Tensor]) -> Callable[[Tensors], object]:
    return lambda tensors: tensors.update({name: change(tensors.get(name, torch.zeros(1)))})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without("motion_head.bias"), "missing tensors: motion_head.bias"),
        (without("decoder.final_layer.scale_shift_table"), "missing tensors: decoder.final_layer.scale_sh"),
        (
            without("temporal_qformer.qformer.encoder.layer.2.crossattention.attention.key.weight"),
            "missing tensors: temporal_qformer.qformer.encoder.layer.2.crossattention.attention.key.weight",
        ),
        (with_another("extra.weight", torch.clone), "unexpected tensors: extra.weight"),
        (with_another("encoder.blocks.0.attn.q_norm.weight", torch.clone), "unexpected .*0.attn.q_norm"),
        (with_another("decoder.blocks.2.mlp.fc1.bias", torch.clone), "unexpected .*blocks.2.mlp.fc1.b"),
        (with_another("motion_head.bias", lambda t: t[:3]), r"misshapen .*bias \(3,\) for \(16,\)"),
        (with_another("encoder.blocks.1.mlp.fc1.weight", lambda t: t.T), r"misshapen .*weight \(48, 192\)"),
        (with_another("encoder.blocks.1.attn.proj.weight", torch.flatten), r"attn.proj.weight \(2304,\)"),
    ],
)
def test_a_tensor_that_does_not_fit_is_named(
    change: Callable[[Tensors], object], message: str, tensors: Tensors, checkpoint: Tensors
) -> None:
    config = released_config(checkpoint, 4)
    change(tensors)
    with pytest.raises(ConversionError, match=message):
        model_from_released(tensors, config)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_the_dtype_is_kept(dtype: torch.dtype, tensors: Tensors, checkpoint: Tensors) -> None:
    model = model_from_released({n: t.to(dtype) for n, t in tensors.items()}, released_config(checkpoint, 4))
    back, _ = released_from_model(model)
    assert model.dtype == dtype
    assert torch.equal(back["conv_in.weight"], tensors["conv_in.weight"].to(dtype))


def test_a_mixture_of_dtypes_is_refused(tensors: Tensors, checkpoint: Tensors) -> None:
    tensors["conv_in.bias"] = tensors["conv_in.bias"].half()
    with pytest.raises(ConversionError, match="one floating-point dtype"):
        model_from_released(tensors, released_config(checkpoint, 4))


def test_every_tensor_that_does_not_fit_is_named_at_once(tensors: Tensors, checkpoint: Tensors) -> None:
    del tensors["conv_in.bias"], tensors["conv_out.bias"]
    tensors["extra"] = torch.zeros(1)
    with pytest.raises(ConversionError, match="missing .*conv_in.bias, conv_out.bias; unexpected .*extra"):
        model_from_released(tensors, released_config(checkpoint, 4))


@pytest.mark.parametrize("name", ["motion_emb.0.weight", "encoder.pos_embed", "conv_in.weight"])
def test_a_missing_tensor_that_tells_a_size_is_named(name: str, tensors: Tensors) -> None:
    del tensors[name]
    with pytest.raises(ConversionError, match=f"no tensor '{re.escape(name)}'"):
        released_config(tensors, 4)


def test_a_tensor_that_tells_a_size_in_too_few_dimensions_is_refused(tensors: Tensors) -> None:
    tensors["temporal_qformer.query_embeds"] = torch.zeros(16)
    with pytest.raises(ConversionError, match="impossible shape"):
        released_config(tensors, 4)


@pytest.mark.parametrize(
    ("heads", "qformer_heads", "message"),
    [
        (5, 8, r"hidden_size \(48\) must be a multiple of num_attention_heads \(5\)"),
        (4, 3, r"qformer_hidden_size \(16\) must be a multiple of qformer_num_attention_heads \(3\)"),
        (0, 8, "num_attention_heads must be at least 1, got 0"),
    ],
)
def test_head_counts_that_do_not_divide_are_refused(
    heads: int, qformer_heads: int, message: str, checkpoint: Tensors
) -> None:
    with pytest.raises(ConversionError, match=message):
        released_config(checkpoint, heads, qformer_heads)


# Files that are no checkpoint


class Touch:
    """An object whose unpickling would create a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("write", [torch.save, lambda content, path: path.write_bytes(pickle.dumps(content))])
def test_a_file_with_other_objects_is_refused_and_nothing_in_it_runs(
    write: Callable[[object, Path], object], checkpoint: Tensors, tmp_path: Path
) -> None:
    write({"state_dict": checkpoint, "callbacks": Touch(tmp_path / "executed")}, tmp_path / "evil.ckpt")
    with pytest.raises(ConversionError, match="holds only tensors and plain values"):
        read_released(tmp_path / "evil.ckpt")
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("content", [b"", b"0", b"not a checkpoint", b"\x80\x02}q", b"PK\x03\x04", bytes(64)])
def test_a_file_that_is_no_checkpoint_is_refused_in_one_line(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "text.ckpt").write_bytes(content)
    with pytest.raises(ConversionError, match=r"text.ckpt is not a torch checkpoint") as refused:
        read_released(tmp_path / "text.ckpt")
    assert "\n" not in str(refused.value)


def test_half_a_checkpoint_is_refused(tmp_path: Path) -> None:
    whole = CHECKPOINT.read_bytes()
    (tmp_path / "half.ckpt").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ConversionError, match="not a torch checkpoint"):
        read_released(tmp_path / "half.ckpt")


@pytest.mark.parametrize("content", [[1, 2], {"epoch": 1}, {"state_dict": 3}, {"state_dict": {"a": 1}}])
def test_a_file_without_tensors_by_name_is_refused(content: object, tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match='holds no "state_dict" of tensors'):
        read_released(saved(content, tmp_path))


def test_a_missing_file_is_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_released(tmp_path / "nothing.ckpt")


def test_a_checkpoint_that_does_not_fit_leaves_no_folder(tmp_path: Path, tensors: Tensors) -> None:
    del tensors["motion_head.bias"]
    with pytest.raises(ConversionError, match=r"motion_head\.bias"):
        convert_to_folder(saved({"state_dict": tensors}, tmp_path), tmp_path / "folder", 4)
    assert not (tmp_path / "folder").exists()


def test_weights_that_make_no_picture_are_refused(tensors: Tensors, tmp_path: Path) -> None:
    name = "decoder.final_layer.linear.bias"
    tensors[name] = tensors[name].clone()
    tensors[name][0] = float("nan")  # one pixel of each patch
    with pytest.raises(ConversionError, match="reconstruction is not finite"):
        convert_to_folder(saved({"state_dict": tensors}, tmp_path), tmp_path / "out", 4)


def test_nobody_is_told_how_to_load_an_unsafe_file(tmp_path: Path) -> None:
    with pytest.raises(ConversionError) as refused:
        read_released(saved({"state_dict": {}, "hook": print}, tmp_path))
    assert "it holds other objects" in str(refused.value) and "weights_only" not in str(refused.value)
