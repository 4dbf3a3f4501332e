"""The same model the plain way: what `bench` compares speed with, and a second opinion on the numbers.

Attention is written out (scores, softmax, weighted sum), the norms have no affine and are modulated
afterwards, and residuals are multiplied and added one operation at a time. No kernel is fused by hand;
`torch.compile` may fuse them.

Axes: b batch, t frames, n patches of a frame, s sequence, c hidden channels, d head width.
"""

from __future__ import annotations

import copy
from itertools import chain

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from vidtwin.modeling_vidtwin import VidTwinModel
from vidtwin.modeling_vidtwin.transformer_vidtwin import VidTwinAttention, VidTwinBlock, VidTwinPixelHead


class TextbookAttention(nn.Module):
    """Softmax attention with the weights of a VidTwinAttention, `b s c -> b s c`."""

    def __init__(self, source: VidTwinAttention):
        super().__init__()
        self.num_heads, self.scaling, self.is_causal = source.num_heads, source.scaling, source.is_causal
        self.qkv, self.proj = source.qkv, source.proj

    def forward(self, hidden: Tensor) -> Tensor:
        qkv = rearrange(
            self.qkv(hidden), "b s (three heads d) -> three b heads s d", three=3, heads=self.num_heads
        )
        query, key, value = qkv.unbind(0)
        scores = query @ key.transpose(-2, -1) * self.scaling
        if self.is_causal:
            later = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).triu(1)
            scores = scores.masked_fill(later, float("-inf"))
        return self.proj(rearrange(scores.softmax(dim=-1) @ value, "b heads s d -> b s (heads d)"))


class TextbookBlock(nn.Module):
    """The space-time block with the weights of a VidTwinBlock, `b t n c -> b t n c`."""

    def __init__(self, source: VidTwinBlock):
        super().__init__()
        self.eps, self.modulation, self.mlp = source.eps, source.modulation, source.mlp
        self.spatial_attention = TextbookAttention(source.spatial_attention)
        self.temporal_attention = TextbookAttention(source.temporal_attention)

    def forward(self, hidden: Tensor, temporal_position: Tensor | None = None) -> Tensor:
        shift_a, scale_a, gate_a, shift_m, scale_m, gate_m = self.modulation
        t, n = hidden.shape[1:3]
        normed = F.layer_norm(hidden, hidden.shape[-1:], eps=self.eps) * (1 + scale_a) + shift_a
        attended = self.spatial_attention(rearrange(normed, "b t n c -> (b t) n c"))
        hidden = hidden + gate_a * rearrange(attended, "(b t) n c -> b t n c", t=t)
        placed = hidden if temporal_position is None else hidden + temporal_position[:, None]
        attended = self.temporal_attention(rearrange(placed, "b t n c -> (b n) t c"))
        hidden = hidden + gate_a * rearrange(attended, "(b n) t c -> b t n c", n=n)
        normed = F.layer_norm(hidden, hidden.shape[-1:], eps=self.eps) * (1 + scale_m) + shift_m
        return hidden + gate_m * self.mlp(normed)


class TextbookPixelHead(nn.Module):
    """The pixel head with the weights of a VidTwinPixelHead, `b t h w c -> b t colour y x`."""

    def __init__(self, source: VidTwinPixelHead):
        super().__init__()
        self.eps, self.patch_size = source.eps, source.patch_size
        self.modulation, self.proj = source.modulation, source.proj

    def forward(self, hidden: Tensor) -> Tensor:
        shift, scale = self.modulation
        patches = self.proj(F.layer_norm(hidden, hidden.shape[-1:], eps=self.eps) * (1 + scale) + shift)
        p = self.patch_size
        return rearrange(patches, "b t h w (p q c) -> b t c (h p) (w q)", p=p, q=p)


def textbook_twin(model: VidTwinModel) -> VidTwinModel:
    """A model that computes the same the plain way; it shares `model`'s parameters and buffers, not a copy
    of them."""
    shared = chain(model.parameters(), model.buffers())
    twin = copy.deepcopy(model, memo={id(tensor): tensor for tensor in shared})
    for transformer in (twin.encoder, twin.decoder):
        transformer.layers = nn.ModuleList(TextbookBlock(layer) for layer in transformer.layers)
    twin.head = TextbookPixelHead(twin.head)
    twin.set_attn_implementation("eager")  # the Q-Former's attention, written out too
    return twin.train(model.training)
