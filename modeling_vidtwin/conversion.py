"""Released VidTwin checkpoints to this package's weights and back, bit for bit.

A released `.ckpt` is a torch-saved dict whose "state_dict" holds the autoencoder and, under `loss.`, what
training needs. Everything in VidTwinConfig but the two head counts follows from the tensors' shapes.
"""

from __future__ import annotations

import errno
import math
import os
import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import hf_hub_download
from huggingface_hub.errors import StrictDataclassError
from torch import Tensor

from ..configuration.configuration_vidtwin import VidTwinConfig
from .hub_errors import refused_as
from .modeling_vidtwin import VidTwinModel
from .transformer_vidtwin import spatial_position_table, temporal_position_table

# (released prefix, our prefix), most special first. A name with another prefix is not a VidTwin tensor.
_PREFIXES = (
    ("temporal_qformer.query_embeds", "structure.encoder.tokens.qformer.queries"),
    ("temporal_qformer.qformer.layernorm.", "structure.encoder.tokens.qformer.norm."),
    ("temporal_qformer.qformer.encoder.layer.", "structure.encoder.tokens.qformer.layers."),
    ("conv_in.", "structure.encoder.conv_in."),
    ("content_downsample_blocks.", "structure.encoder.down."),
    ("bottle_down.", "structure.encoder.conv_out."),
    ("bottle_up.0.", "structure.decoder.conv_in."),
    ("content_upsample_blocks.", "structure.decoder.up."),
    ("conv_out.", "structure.decoder.conv_out."),
    ("cont_emb.0.", "structure.decoder.proj."),
    ("cont_emb.2.", "structure.decoder.mix."),
    ("downsample_motion_module.", "dynamics.encoder.down."),
    ("motion_head.", "dynamics.encoder.moments.conv."),
    ("motion_emb.0.", "dynamics.decoder.proj_in."),
    ("motion_emb.2.", "dynamics.decoder.proj_out."),
    ("up_motion.0.", "dynamics.decoder.expand_in."),
    ("up_motion.2.", "dynamics.decoder.expand_out."),
    ("encoder.x_embedder.proj.", "patch_embed.proj."),
    ("decoder.final_layer.linear.", "head.proj."),
    ("decoder.final_layer.scale_shift_table", "head.modulation"),
    ("encoder.blocks.", "encoder.layers."),
    ("decoder.blocks.", "decoder.layers."),
)
# (released part, our part) inside a block or a Q-Former layer, more special parts first.
_BLOCK_PARTS = (
    ("attn.", "spatial_attention."),
    ("attn_temp.", "temporal_attention."),
    ("scale_shift_table", "modulation"),
)
_QFORMER_PARTS = (
    ("crossattention.output.dense.", "cross_attention.proj."),
    ("crossattention.output.LayerNorm.", "cross_attention.norm."),
    ("crossattention.attention.", "cross_attention."),
    ("attention.output.dense.", "self_attention.proj."),
    ("attention.output.LayerNorm.", "self_attention.norm."),
    ("attention.attention.", "self_attention."),
    ("intermediate_query.dense.", "fc1."),
    ("output_query.dense.", "fc2."),
    ("output_query.LayerNorm.", "norm."),
)
RELEASED_REPO = "microsoft/vidtwin"
RELEASED_FILE = "checkpoints/vidtwin_structure_7_7_8_dynamics_7_8.ckpt"
_UNUSED = ("encoder.final_layer.", "decoder.x_embedder.")
_POSITION_TABLES = ("pos_embed", "pos_embed_temporal")


class ConversionError(ValueError):
    """A checkpoint that is not a VidTwin one, or not a whole one."""


def released_checkpoint(source: str, revision: str | None = None) -> Path:
    """The path of a released checkpoint: `source` itself, or RELEASED_FILE of the Hub repository `source`.

    It is downloaded once. Raises FileNotFoundError for a path that is not there, ConversionError where the
    Hub does not give it.
    """
    path = Path(source)
    if path.exists() or source.count("/") != 1 or path.suffix == ".ckpt" or source.startswith((".", "/")):
        if revision is not None:
            raise ConversionError(f"revision is for a repository of the Hub, got {revision!r} for {source}.")
        if not path.exists():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), source)
        return path
    message = f"{source!r} is no file, and the Hub did not give its {RELEASED_FILE}: {{reason}}."
    with refused_as(ConversionError, message):
        return Path(hf_hub_download(source, RELEASED_FILE, revision=revision))


def read_released(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """The tensors of a released `.ckpt` by their released names; nothing is unpickled but tensors.

    Raises FileNotFoundError, or ConversionError for a file that is no checkpoint or holds other objects.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=False)
    except FileNotFoundError:
        raise
    except Exception as error:  # torch's reader answers a damaged file with almost any exception
        told = str(error).strip() or type(error).__name__
        # torch's own message goes on to say how such a file can be loaded nevertheless.
        unsafe = isinstance(error, pickle.UnpicklingError) and "weights_only" in told
        reason = "it holds other objects" if unsafe else told.splitlines()[0]
        raise ConversionError(
            f"{path} is not a torch checkpoint that holds only tensors and plain values ({reason}). "
            "Give the released .ckpt file as it was downloaded."
        ) from error
    tensors = content.get("state_dict", content) if isinstance(content, dict) else None
    if not isinstance(tensors, Mapping) or not all(isinstance(value, Tensor) for value in tensors.values()):
        raise ConversionError(f'{path} holds no "state_dict" of tensors. Give a released VidTwin .ckpt file.')
    return dict(tensors)


def our_name(released: str) -> str | None:
    """This package's name of a released tensor; None for one that the model does not use."""
    if _is_left_out(released):
        return None
    for before, after in _PREFIXES:
        if released.startswith(before):
            return _rename_inner(after + released[len(before) :], forward=True)
    return None


def released_name(ours: str) -> str:
    """The released name of one of this package's tensors. Raises ConversionError for a tensor of an
    ablation."""
    inner = _rename_inner(ours, forward=False)
    for released, prefix in _PREFIXES:
        if inner.startswith(prefix):
            return released + inner[len(prefix) :]
    raise ConversionError(f"{ours} has no place in a released checkpoint (it belongs to an ablation).")


def _rename_inner(name: str, forward: bool) -> str:
    """Rename the part of a name that follows `layers.N.`; names outside the layers stay."""
    match = re.match(r"(.*\blayers\.\d+\.)(.*)", name)
    if match is None:
        return name
    layer, part = match.groups()
    for released, ours in _QFORMER_PARTS if ".qformer." in layer else _BLOCK_PARTS:
        before, after = (released, ours) if forward else (ours, released)
        if part.startswith(before):
            return layer + after + part[len(before) :]
    return name


def released_config(
    tensors: Mapping[str, Tensor], num_attention_heads: int = 12, qformer_num_attention_heads: int = 8
) -> VidTwinConfig:
    """The configuration that the shapes of a released checkpoint tell; the two head counts must be given.

    Raises ConversionError when a tensor that tells a size is missing or its shape makes no sense.
    """
    try:
        return VidTwinConfig(
            **_sizes(tensors),
            num_attention_heads=num_attention_heads,
            qformer_num_attention_heads=qformer_num_attention_heads,
        )
    except KeyError as error:
        raise ConversionError(
            f"The checkpoint has no tensor {error}: it is not a whole VidTwin checkpoint."
        ) from error
    except StrictDataclassError as error:
        reason = str(error).splitlines()[-1].strip()
        raise ConversionError(f"The sizes do not fit together: {reason}") from error
    except (IndexError, ZeroDivisionError) as error:
        raise ConversionError(f"A tensor of the checkpoint has an impossible shape ({error}).") from error


def _count(tensors: Mapping[str, Tensor], pattern: str) -> int:
    return len({match[1] for name in tensors if (match := re.match(pattern, name))})


def _sizes(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    patch = tensors["encoder.x_embedder.proj.weight"].shape  # hidden, colour, 1, p, p
    fc1 = tensors["encoder.blocks.0.mlp.fc1.weight"].shape
    query_embeds = tensors["temporal_qformer.query_embeds"].shape
    grid = math.isqrt(tensors["encoder.pos_embed"].shape[1])
    qformer = "temporal_qformer.qformer.encoder.layer"
    return {
        "image_size": grid * patch[-1],
        "patch_size": patch[-1],
        "num_frames": tensors["encoder.pos_embed_temporal"].shape[1],
        "num_channels": patch[1],
        "hidden_size": patch[0],
        "num_hidden_layers": _count(tensors, r"encoder\.blocks\.(\d+)\."),
        "mlp_ratio": fc1[0] // fc1[1],
        "num_query_tokens": query_embeds[-2],
        "qformer_hidden_size": query_embeds[-1],
        "qformer_num_hidden_layers": _count(tensors, rf"{re.escape(qformer)}\.(\d+)\."),
        "qformer_intermediate_size": tensors[f"{qformer}.0.intermediate_query.dense.weight"].shape[0],
        "structure_channels": tensors["bottle_up.0.weight"].shape[1],
        "structure_num_downsamples": _count(tensors, r"content_downsample_blocks\.(\d+)\."),
        "structure_init_channels": tensors["conv_in.weight"].shape[0],
        "dynamics_channels": tensors["motion_emb.0.weight"].shape[1],
        "dynamics_num_downsamples": _count(tensors, r"downsample_motion_module\.(\d+)\."),
    }


def model_from_released(tensors: Mapping[str, Tensor], config: VidTwinConfig) -> VidTwinModel:
    """A VidTwinModel with a released checkpoint's weights, bit for bit.

    Raises ConversionError that names missing, unexpected or misshapen tensors.
    """
    unexpected = [name for name in tensors if our_name(name) is None and not _is_left_out(name)]
    with torch.device("meta"):
        wanted = VidTwinModel(config).state_dict()
    ours = {our: _our_shape(our, tensor) for name, tensor in tensors.items() if (our := our_name(name))}
    unexpected += [released_name(name) for name in ours if name not in wanted]
    missing = [released_name(name) for name in wanted if name not in ours]
    misshapen = [
        f"{released_name(name)} {tuple(ours[name].shape)} for {tuple(wanted[name].shape)}"
        for name in wanted
        if name in ours and ours[name].shape != wanted[name].shape
    ]
    problems = [
        f"{kind} tensors: {', '.join(names)}"
        for kind, names in (("missing", missing), ("unexpected", unexpected), ("misshapen", misshapen))
        if names
    ]
    if problems:
        raise ConversionError("The checkpoint does not fit: " + "; ".join(problems))
    dtypes = {tensor.dtype for tensor in ours.values()}
    if len(dtypes) > 1 or not dtypes.pop().is_floating_point:
        raise ConversionError("The checkpoint's tensors must be of one floating-point dtype.")
    model = VidTwinModel(config).to(next(iter(ours.values())).dtype)
    model.load_state_dict(ours, strict=True)
    return model.eval()


def _our_shape(ours: str, tensor: Tensor) -> Tensor:
    """A released tensor in our shape: the patch kernel flattened, a convolution of kernel 1 as a Linear."""
    if ours == "patch_embed.proj.weight":
        return tensor.flatten(1)
    if ours == "structure.decoder.mix.weight" and tensor.ndim == 3:
        return tensor.squeeze(-1)
    return tensor


def _is_left_out(name: str) -> bool:
    return name.startswith((*_UNUSED, "loss.")) or name.split(".")[-1] in _POSITION_TABLES


def released_from_model(
    model: VidTwinModel, base: Mapping[str, Tensor] | None = None
) -> tuple[dict[str, Tensor], list[str]]:
    """A model's weights under the released names and shapes, and the names left out.

    `base` is a released checkpoint that lends the unused layers and `loss.*`; without it they are left out
    (the released code loads with strict=False). Raises ConversionError for an ablation, which has no
    released form.
    """
    config = model.config
    tensors = {released_name(name): tensor for name, tensor in model.state_dict().items()}
    p = config.patch_size
    patch = "encoder.x_embedder.proj.weight"
    tensors[patch] = tensors[patch].reshape(config.hidden_size, config.num_channels, 1, p, p)
    tensors["cont_emb.2.weight"] = tensors["cont_emb.2.weight"][:, :, None]
    tables = (
        spatial_position_table(config.grid_size, config.hidden_size),
        temporal_position_table(config.num_frames, config.hidden_size),
    )
    for part in ("encoder", "decoder"):
        for name, table in zip(_POSITION_TABLES, tables, strict=True):
            tensors[f"{part}.{name}"] = table[None]
    lent = {name: tensor for name, tensor in (base or {}).items() if _is_left_out(name)}
    lent = {name: tensor for name, tensor in lent.items() if name not in tensors}
    left_out = [f"{part}*" for part in (*_UNUSED, "loss.") if not any(n.startswith(part) for n in lent)]
    return {**tensors, **lent}, left_out


def convert_to_folder(
    checkpoint: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    num_attention_heads: int = 12,
    qformer_num_attention_heads: int = 8,
) -> VidTwinModel:
    """Write a released `.ckpt` as a folder that `from_pretrained` loads, and give back the model.

    One clip goes through the model first. Raises FileNotFoundError or ConversionError as the functions above
    do, and ConversionError for weights whose reconstruction is not finite.
    """
    tensors = read_released(checkpoint)
    config = released_config(tensors, num_attention_heads, qformer_num_attention_heads)
    model = model_from_released(tensors, config).eval()
    side = config.image_size
    with torch.inference_mode():
        clip = torch.linspace(-1, 1, side).expand(1, config.num_frames, config.num_channels, side, side)
        if not model(clip).reconstruction.isfinite().all():
            raise ConversionError(f"{checkpoint} makes a model whose reconstruction is not finite.")
    Path(folder).mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    return model
