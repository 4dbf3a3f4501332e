"""VidTwinConfig: every number of the VidTwin architecture, typed and checked.

No `from __future__ import annotations` here: huggingface_hub's `strict` reads the annotations as types.
"""

import difflib
import math
import os
from dataclasses import fields
from typing import Any

from huggingface_hub.dataclasses import strict
from transformers import PretrainedConfig
from transformers.utils import logging

from .remote_code import known_here, without_code, write_remote_code

logger = logging.get_logger(__name__)

VIDTWIN_VERSION = "0.1.0"
STRUCTURE_HEADS = ("qformer", "linear")
DYNAMICS_HEADS = ("mean", "qformer")

# Keywords that transformers itself passes to a config beside its declared fields.
_TRANSFORMERS_KEYWORDS = frozenset(
    {
        "attn_implementation",
        "experts_implementation",
        "torch_dtype",
        "num_labels",
        "name_or_path",
        "quantization_config",
        "tie_word_embeddings",
        "use_cache",
        "trust_remote_code",
        "auto_map",
        "model_type",
        "per_layer_config",
    }
)


@strict
class VidTwinConfig(PretrainedConfig):
    r"""The architecture of a VidTwin video autoencoder; the default is the paper's base scale (Sec. 4.1,
    Table 4).

    image_size: side of the square input in pixels, a multiple of `patch_size`. num_frames: frames of one
    clip. hidden_size, num_hidden_layers (encoder and decoder each), num_attention_heads, mlp_ratio,
    layer_norm_eps: the two space-time transformers. num_query_tokens (n_q), qformer_*: the temporal
    Q-Former of the structure branch (Sec. 3.2.1). structure_channels (d_S), structure_num_downsamples,
    structure_init_channels: the convolutions after it. dynamics_channels (d_D), dynamics_num_downsamples:
    the dynamics branch (Sec. 3.2.2). structure_head, dynamics_head: how each branch reads the encoder;
    other values than the default are ablations. structure_mean, structure_std, dynamics_mean, dynamics_std:
    per-channel statistics of the latents, None until measured; stored for generative models, never applied
    by `encode` or `decode`.

    Raises a strict-dataclass error for wrong types, counts below 1 or sizes that do not divide, and
    ValueError for a keyword that neither VidTwin nor transformers knows (a misspelt name would otherwise go
    unnoticed).
    """

    model_type = "vidtwin"

    image_size: int = 224
    patch_size: int = 16
    num_frames: int = 16
    num_channels: int = 3
    hidden_size: int = 768
    num_hidden_layers: int = 16
    num_attention_heads: int = 12
    mlp_ratio: int = 4
    layer_norm_eps: float | int = 1e-6
    num_query_tokens: int = 16
    qformer_hidden_size: int = 64
    qformer_num_hidden_layers: int = 6
    qformer_num_attention_heads: int = 8
    qformer_intermediate_size: int = 768
    qformer_dropout: float | int = 0.1
    qformer_layer_norm_eps: float | int = 1e-12
    structure_channels: int = 4
    structure_num_downsamples: int = 1
    structure_init_channels: int = 128
    dynamics_channels: int = 8
    dynamics_num_downsamples: int = 1
    structure_head: str = "qformer"
    dynamics_head: str = "mean"
    structure_mean: list[float | int] | tuple[float | int, ...] | None = None
    structure_std: list[float | int] | tuple[float | int, ...] | None = None
    dynamics_mean: list[float | int] | tuple[float | int, ...] | None = None
    dynamics_std: list[float | int] | tuple[float | int, ...] | None = None
    vidtwin_version: str = VIDTWIN_VERSION

    def __post_init__(self, **kwargs: Any) -> None:
        unknown = [key for key in kwargs if not self._is_known(key)]
        if unknown:
            raise ValueError("; ".join(_unknown_keyword(key, self._own_fields()) for key in unknown))
        for name in ("structure_mean", "structure_std", "dynamics_mean", "dynamics_std"):
            if getattr(self, name) is not None:
                setattr(self, name, list(getattr(self, name)))
        super().__post_init__(**kwargs)

    @classmethod
    def _own_fields(cls) -> list[str]:
        """Names of the fields that VidTwin adds to PretrainedConfig's own."""
        inherited = {field.name for field in fields(PretrainedConfig)}
        return [field.name for field in fields(cls) if field.name not in inherited]

    @classmethod
    def _is_known(cls, key: str) -> bool:
        declared = {field.name for field in fields(cls)}
        return (
            key in declared
            or key in _TRANSFORMERS_KEYWORDS
            or key.startswith("_")
            or (hasattr(PretrainedConfig, key) and not callable(getattr(PretrainedConfig, key)))
        )

    @classmethod
    def from_dict(cls, config_dict: dict[str, Any], **kwargs: Any):
        """Build a config from a file's dict; keys of a newer version give one warning and are kept."""
        unknown = {key: value for key, value in config_dict.items() if not cls._is_known(key)}
        known = {key: value for key, value in config_dict.items() if key not in unknown}
        result = super().from_dict(known, **kwargs)
        config = result[0] if isinstance(result, tuple) else result
        if unknown:
            logger.warning(
                f"The configuration holds {sorted(unknown)}, unknown to vidtwin {VIDTWIN_VERSION}, of "
                f"{config_dict.get('vidtwin_version', 'an unknown version')}. They have no effect."
            )
        for key, value in unknown.items():
            if not isinstance(getattr(cls, key, None), property):  # a number that this version derives
                setattr(config, key, value)
        return result

    def save_pretrained(self, save_directory: str | os.PathLike, push_to_hub: bool = False, **kwargs: Any):
        """As transformers', and the modelling code beside it, which AutoModel loads where `vidtwin` is not
        installed (trust_remote_code=True). A class that came from such code is copied by transformers."""
        if self._auto_class is None:
            model = "VidTwinEncoderModel" if self.encoder_only else "VidTwinModel"
            auto_map = {
                "AutoConfig": "configuration_vidtwin.VidTwinConfig",
                "AutoModel": f"modeling_vidtwin.{model}",
            }
            if write_remote_code(save_directory, auto_map):
                self.auto_map = auto_map
        elif getattr(self, "auto_map", None):  # what is not beside it cannot be named as if it were
            self.auto_map = known_here(save_directory, self.auto_map)
        super().save_pretrained(save_directory, push_to_hub=push_to_hub, **kwargs)

    def _get_files_timestamps(self, working_dir: str | os.PathLike) -> dict[str, float]:
        return without_code(super()._get_files_timestamps(working_dir))

    def validate_counts(self) -> None:
        """Counts are at least 1, downsamples at least 0, epsilons positive, dropout in [0, 1)."""
        may_be_zero = {"structure_num_downsamples", "dynamics_num_downsamples"}
        for name in self._own_fields():
            value = getattr(self, name)
            least = 0 if name in may_be_zero else 1
            if isinstance(value, bool):
                raise ValueError(f"{name} must be a number, got {value}.")
            if isinstance(value, int) and name not in _FLOAT_FIELDS and value < least:
                raise ValueError(f"{name} must be at least {least}, got {value}.")
        for name, most in _MOST.items():
            if getattr(self, name) > most:
                raise ValueError(f"{name} must be at most {most:,}, got {getattr(self, name):,}.")
        for name in ("layer_norm_eps", "qformer_layer_norm_eps"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be positive and finite, got {getattr(self, name)}.")
        if not 0 <= self.qformer_dropout < 1:
            raise ValueError(f"qformer_dropout must be in [0, 1), got {self.qformer_dropout}.")

    def validate_sizes(self) -> None:
        """Sizes divide as the architecture needs."""
        _check_multiple("image_size", self.image_size, "patch_size", self.patch_size)
        if self.grid_size > _MOST_PATCHES:
            raise ValueError(f"a frame must be at most {_MOST_PATCHES} patches wide, got {self.grid_size}.")
        _check_multiple("hidden_size", self.hidden_size, "the 4 parts of the position table", 4)
        _check_multiple("hidden_size", self.hidden_size, "num_attention_heads", self.num_attention_heads)
        _check_multiple(
            "qformer_hidden_size",
            self.qformer_hidden_size,
            "qformer_num_attention_heads",
            self.qformer_num_attention_heads,
        )

    def validate_heads(self) -> None:
        """The two head names exist."""
        for name, known in (("structure_head", STRUCTURE_HEADS), ("dynamics_head", DYNAMICS_HEADS)):
            if getattr(self, name) not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}, got {getattr(self, name)!r}.")

    def validate_statistics(self) -> None:
        """Latent statistics have one finite number per channel, standard deviations a positive one."""
        for part, channels in (("structure", self.structure_channels), ("dynamics", self.dynamics_channels)):
            for kind in ("mean", "std"):
                values = getattr(self, f"{part}_{kind}")
                if values is None:
                    continue
                if len(values) != channels:
                    raise ValueError(
                        f"{part}_{kind} must have {channels} numbers, one a channel, got {len(values)}."
                    )
                if not all(math.isfinite(value) and (kind == "mean" or value > 0) for value in values):
                    raise ValueError(f"{part}_{kind} must be finite (and positive for std), got {values}.")

    @property
    def encoder_only(self) -> bool:
        """Whether it was saved with the encoder half alone (VidTwinEncoderModel)."""
        return self.architectures == ["VidTwinEncoderModel"]

    @property
    def grid_size(self) -> int:
        """Patches along one side of a frame (h = w)."""
        return self.image_size // self.patch_size

    @property
    def structure_size(self) -> int:
        """Side of the structure latents' grid, h_S = w_S."""
        return _downsampled(self.grid_size, self.structure_num_downsamples)

    @property
    def dynamics_size(self) -> int:
        """Length of one dynamics axis, w_D = h_D."""
        return _downsampled(self.grid_size, self.dynamics_num_downsamples)

    @property
    def structure_shape(self) -> tuple[int, int, int, int]:
        """Shape (n_q, d_S, h_S, w_S) of one clip's structure latents."""
        return (self.num_query_tokens, self.structure_channels, self.structure_size, self.structure_size)

    @property
    def dynamics_shape(self) -> tuple[int, int, int]:
        """Shape (t, d_D, w_D + h_D) of one clip's dynamics latents; the first w_D entries are indexed by
        width."""
        return (self.num_frames, self.dynamics_channels, 2 * self.dynamics_size)

    @property
    def num_latents(self) -> int:
        """Numbers in the two latents of one clip (4,928 at the default)."""
        return math.prod(self.structure_shape) + math.prod(self.dynamics_shape)

    @property
    def compression_rate(self) -> float:
        """Latent numbers over input numbers of one clip (paper Table 1; 0.002046 at the default)."""
        return self.num_latents / (self.num_frames * self.num_channels * self.image_size**2)


# Beyond these a configuration from elsewhere is a mistake, or meant to exhaust the machine.
_MOST = {
    "image_size": 8192,
    "num_frames": 4096,
    "hidden_size": 32768,
    "num_hidden_layers": 512,
    "num_query_tokens": 4096,
    "qformer_hidden_size": 32768,
    "qformer_num_hidden_layers": 512,
    "structure_num_downsamples": 16,
    "dynamics_num_downsamples": 16,
}
_MOST_PATCHES = 512
_FLOAT_FIELDS = frozenset({"layer_norm_eps", "qformer_dropout", "qformer_layer_norm_eps"})


def _downsampled(size: int, times: int) -> int:
    """Size after `times` 3x3 convolutions of stride 2 and padding 1."""
    for _ in range(times):
        size = (size + 1) // 2
    return size


def _check_multiple(name: str, value: int, divisor_name: str, divisor: int) -> None:
    if divisor < 1 or value % divisor:
        near = max(divisor, round(value / max(divisor, 1)) * divisor)
        raise ValueError(
            f"{name} ({value}) must be a multiple of {divisor_name} ({divisor}), for example {near}."
        )


def _unknown_keyword(key: str, known: list[str]) -> str:
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]!r}?" if near else f" Known are: {', '.join(known)}."
    return f"VidTwinConfig has no field {key!r}.{hint}"


__all__ = ["VidTwinConfig"]
