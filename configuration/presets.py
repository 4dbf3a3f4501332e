"""The paper's scales, latent sizes and ablations as plain dicts of VidTwinConfig fields."""

from __future__ import annotations

from typing import Any

from .configuration_vidtwin import VidTwinConfig

# Paper Table 4: the transformers' width, depth (encoder and decoder each) and heads.
SCALES: dict[str, dict[str, Any]] = {
    "small": {"hidden_size": 512, "num_hidden_layers": 12, "num_attention_heads": 8},
    "base": {"hidden_size": 768, "num_hidden_layers": 16, "num_attention_heads": 12},
    "large": {"hidden_size": 1536, "num_hidden_layers": 16, "num_attention_heads": 12},
}

# Paper Table 5, all with a 7x7 structure grid; named by the count of numbers per 16x224x224 clip.
LATENT_SIZES: dict[str, dict[str, Any]] = {
    "4928": {
        "structure_channels": 4,
        "num_query_tokens": 16,
        "dynamics_num_downsamples": 1,
        "dynamics_channels": 8,
    },
    "5184": {
        "structure_channels": 4,
        "num_query_tokens": 16,
        "dynamics_num_downsamples": 2,
        "dynamics_channels": 16,
    },
    "4144": {
        "structure_channels": 4,
        "num_query_tokens": 12,
        "dynamics_num_downsamples": 1,
        "dynamics_channels": 8,
    },
}

# One branch at a time loses what the paper argues for (Sec. 3.2, Table 3 is the paper's own list).
ABLATIONS: dict[str, dict[str, Any]] = {
    "without_structure_qformer": {"structure_head": "linear"},
    "without_dynamics_average": {"dynamics_head": "qformer"},
}


def vidtwin_config(scale: str = "base", latent_size: str = "4928", **overrides: Any) -> VidTwinConfig:
    """A config of one of the paper's scales and latent sizes; `overrides` are VidTwinConfig fields.

    Raises ValueError for an unknown scale or latent size.
    """
    for name, value, known in (("scale", scale, SCALES), ("latent_size", latent_size, LATENT_SIZES)):
        if value not in known:
            raise ValueError(f"{name} must be one of {', '.join(known)}, got {value!r}.")
    return VidTwinConfig(**{**SCALES[scale], **LATENT_SIZES[latent_size], **overrides})
