"""The space-time transformer that VidTwin's encoder and decoder share (paper Sec. 3.1).

Axes: b batch, t frames, c colour, y x pixels, p q pixels in a patch, h w patch grid, n patches of a frame
(h w), s sequence (frames, patches or query tokens), d head width.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn
from transformers import initialization as init
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from ..configuration.configuration_vidtwin import VidTwinConfig


class DrawsOwnWeights(nn.Module):
    """A module that redraws its weights itself; VidTwinPreTrainedModel calls it after the module's
    children."""

    def draw_weights(self) -> None:
        raise NotImplementedError


def draw_xavier(linear: nn.Linear) -> None:
    """Xavier-uniform weight and zero bias, as every Linear of the transformers starts."""
    init.xavier_uniform_(linear.weight)
    init.zeros_(linear.bias)


class XavierLinear(nn.Linear, DrawsOwnWeights):
    """A Linear that starts Xavier-uniform with zero bias, as those of the transformers do."""

    def draw_weights(self) -> None:
        draw_xavier(self)


def sincos_table(positions: np.ndarray, width: int) -> np.ndarray:
    """Sine and cosine of each position at `width / 2` frequencies 10000^(-k / (width / 2)), `s -> s width`,
    float64."""
    frequencies = 1.0 / 10000.0 ** (np.arange(width // 2, dtype=np.float64) / (width / 2))
    angles = np.outer(positions, frequencies)
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1)


def spatial_position_table(grid_size: int, hidden_size: int) -> Tensor:
    """Fixed positions of the patches, `n hidden` in float64: the first half tells the column, the second
    the row."""
    row, column = np.divmod(np.arange(grid_size**2), grid_size)
    half = hidden_size // 2
    return torch.from_numpy(np.concatenate([sincos_table(column, half), sincos_table(row, half)], axis=1))


def temporal_position_table(num_frames: int, hidden_size: int) -> Tensor:
    """Fixed positions of the frames, `t hidden` in float64."""
    return torch.from_numpy(sincos_table(np.arange(num_frames), hidden_size))


def modulated_layer_norm(hidden: Tensor, scale: Tensor, shift: Tensor, eps: float) -> Tensor:
    """LN(hidden) (1 + scale) + shift over the last axis, as the one fused LayerNorm that it is."""
    return F.layer_norm(hidden, hidden.shape[-1:], 1 + scale, shift, eps)


def eager_attention_forward(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float,
    dropout: float = 0.0,
    **kwargs,
) -> tuple[Tensor, Tensor]:
    """Attention written out, `b heads s d -> b s heads d`, with the causal mask when the module is causal."""
    scores = (query @ key.transpose(-1, -2)) * scaling
    if module.is_causal:
        later = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).triu(1)
        scores = scores.masked_fill(later, float("-inf"))
    weights = scores.softmax(dim=-1, dtype=torch.promote_types(scores.dtype, torch.float32))
    weights = F.dropout(weights.to(value.dtype), dropout)
    return (weights @ value).transpose(1, 2).contiguous(), weights


def attend(module: Any, query: Tensor, key: Tensor, value: Tensor, dropout: float = 0.0) -> Tensor:
    """Attention by the implementation that `config._attn_implementation` names now, `b heads s d -> b s
    (heads d)`."""
    name = module.config._attn_implementation
    function = ALL_ATTENTION_FUNCTIONS.get_interface(name, eager_attention_forward)
    attended, _ = function(
        module, query, key, value, None, dropout=dropout, scaling=module.scaling, is_causal=module.is_causal
    )
    return rearrange(attended, "b s heads d -> b s (heads d)")


class VidTwinAttention(nn.Module):
    """Multi-head self-attention with one qkv projection, `b s hidden -> b s hidden`; causal over s if
    asked."""

    def __init__(self, config: VidTwinConfig, is_causal: bool):
        super().__init__()
        self.config = config
        self.is_causal = is_causal
        self.num_heads = config.num_attention_heads
        self.scaling = (config.hidden_size // config.num_attention_heads) ** -0.5
        self.qkv = nn.Linear(config.hidden_size, 3 * config.hidden_size)
        self.proj = nn.Linear(config.hidden_size, config.hidden_size)

    def forward(self, hidden: Tensor) -> Tensor:
        qkv = rearrange(
            self.qkv(hidden), "b s (three heads d) -> three b heads s d", three=3, heads=self.num_heads
        )
        query, key, value = qkv.unbind(0)
        return self.proj(attend(self, query, key, value))


class VidTwinMLP(nn.Module):
    """Two Linears with tanh-GELU between them, `... hidden -> ... hidden`."""

    def __init__(self, config: VidTwinConfig):
        super().__init__()
        self.fc1 = nn.Linear(config.hidden_size, config.mlp_ratio * config.hidden_size)
        self.fc2 = nn.Linear(config.mlp_ratio * config.hidden_size, config.hidden_size)

    def forward(self, hidden: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(hidden), approximate="tanh"))


class VidTwinBlock(GradientCheckpointingLayer, DrawsOwnWeights):
    """One space-time block, `b t n hidden -> b t n hidden`: spatial attention, causal temporal attention,
    MLP.

    The temporal attention has neither norm nor modulation and shares the spatial attention's gate, as
    released.
    """

    def __init__(self, config: VidTwinConfig):
        super().__init__()
        self.eps = config.layer_norm_eps
        self.modulation = nn.Parameter(torch.empty(6, config.hidden_size))
        self.spatial_attention = VidTwinAttention(config, is_causal=False)
        self.temporal_attention = VidTwinAttention(config, is_causal=True)
        self.mlp = VidTwinMLP(config)

    def draw_weights(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Linear):
                draw_xavier(module)
        init.zeros_(self.temporal_attention.proj.weight)
        init.normal_(self.modulation, std=self.modulation.shape[1] ** -0.5)

    def forward(self, hidden: Tensor, temporal_position: Tensor | None = None) -> Tensor:
        shift_a, scale_a, gate_a, shift_m, scale_m, gate_m = self.modulation.unbind(0)
        t, n = hidden.shape[1:3]
        frames = rearrange(modulated_layer_norm(hidden, scale_a, shift_a, self.eps), "b t n c -> (b t) n c")
        attended = rearrange(self.spatial_attention(frames), "(b t) n c -> b t n c", t=t)
        hidden = torch.addcmul(hidden, gate_a, attended)
        placed = hidden if temporal_position is None else hidden + temporal_position[:, None]
        # at batch 1 this is a strided view, on which torch's Linear is slow when no weight needs a gradient
        attended = self.temporal_attention(rearrange(placed, "b t n c -> (b n) t c").contiguous())
        hidden = torch.addcmul(hidden, gate_a, rearrange(attended, "(b n) t c -> b t n c", n=n))
        return torch.addcmul(
            hidden, gate_m, self.mlp(modulated_layer_norm(hidden, scale_m, shift_m, self.eps))
        )


class VidTwinTransformer(DrawsOwnWeights):
    """Fixed positions and the stack of space-time blocks, `b t h w hidden -> b t h w hidden`; no final
    norm."""

    spatial_position: Tensor
    temporal_position: Tensor

    def __init__(self, config: VidTwinConfig):
        super().__init__()
        self.config = config
        self.layers = nn.ModuleList(VidTwinBlock(config) for _ in range(config.num_hidden_layers))
        for name, table in self._position_tables().items():
            self.register_buffer(name, table.to(torch.float32), persistent=False)

    def _position_tables(self) -> dict[str, Tensor]:
        config = self.config
        return {
            "spatial_position": spatial_position_table(config.grid_size, config.hidden_size),
            "temporal_position": temporal_position_table(config.num_frames, config.hidden_size),
        }

    def draw_weights(self) -> None:
        for name, table in self._position_tables().items():
            init.copy_(getattr(self, name), table)

    def forward(self, hidden: Tensor) -> Tensor:
        h = hidden.shape[2]
        hidden = rearrange(hidden, "b t h w c -> b t (h w) c") + self.spatial_position.to(hidden)
        temporal_position = self.temporal_position.to(hidden)
        for index, layer in enumerate(self.layers):
            hidden = layer(hidden, temporal_position if index == 0 else None)
        return rearrange(hidden, "b t (h w) c -> b t h w c", h=h)


class VidTwinPatchEmbed(nn.Module):
    """Square patches of each frame to vectors, `b t c y x -> b t h w hidden`: a convolution of stride =
    kernel."""

    def __init__(self, config: VidTwinConfig):
        super().__init__()
        self.patch_size = config.patch_size
        self.proj = XavierLinear(config.num_channels * config.patch_size**2, config.hidden_size)

    def forward(self, pixel_values_videos: Tensor) -> Tensor:
        p = self.patch_size
        patches = rearrange(pixel_values_videos, "b t c (h p) (w q) -> b t h w (c p q)", p=p, q=p)
        return self.proj(patches.to(self.proj.weight.dtype))


class VidTwinPixelHead(DrawsOwnWeights):
    """Modulated norm and a Linear to the pixels of each patch, `b t h w hidden -> b t c y x`, unbounded
    values."""

    def __init__(self, config: VidTwinConfig):
        super().__init__()
        self.eps = config.layer_norm_eps
        self.patch_size = config.patch_size
        self.modulation = nn.Parameter(torch.empty(2, config.hidden_size))
        self.proj = nn.Linear(config.hidden_size, config.num_channels * config.patch_size**2)

    def draw_weights(self) -> None:
        init.normal_(self.modulation, std=1 / math.sqrt(self.modulation.shape[1]))

    def forward(self, hidden: Tensor) -> Tensor:
        shift, scale = self.modulation.unbind(0)
        patches = self.proj(modulated_layer_norm(hidden, scale, shift, self.eps))
        p = self.patch_size
        return rearrange(patches, "b t h w (p q c) -> b t c (h p) (w q)", p=p, q=p)
