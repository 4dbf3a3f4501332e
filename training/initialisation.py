"""Where training starts: the released initialisation, or one that lets signals through from the first step.

The released start (drawn by the model itself) is slow: gates near zero, a Q-Former that hardly sees the
frames, and branch convolutions that shrink the signal at each layer. `variance_preserving` mends these
three, starts the mixing of frames and of places as averages, and keeps the Q-Former's queries apart: all
read nearly the same frames, so with plain Xavier weights they soon hold one and the same token, and the
structure latents 1/n_q of what they could.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from vidtwin.modeling_vidtwin.latents_vidtwin import (
    DynamicsDecoder,
    StructureDecoder,
    VidTwinBranch,
    VidTwinQFormer,
)
from vidtwin.modeling_vidtwin.modeling_vidtwin import VidTwinModel
from vidtwin.modeling_vidtwin.transformer_vidtwin import VidTwinBlock

STARTS = ("released", "variance_preserving")


@torch.no_grad()
def variance_preserving(model: VidTwinModel) -> None:
    """Redraw the weights of `model` in place so that both branches and all blocks carry signal from the
    start.

    Branch convolutions and Linears: He-normal (each is followed by a ReLU or feeds one); Q-Former: see
    `_distinct_queries`; mixing of tokens to frames and of dynamics to places: see `_average`; blocks: gates
    at (2 layers)^-0.5, no modulation, temporal projections Xavier instead of zero.
    """
    gate = (2 * model.config.num_hidden_layers) ** -0.5
    for module in model.modules():
        if isinstance(module, VidTwinBranch):
            for layer in module.modules():
                if isinstance(layer, nn.Linear | nn.Conv2d):
                    nn.init.normal_(layer.weight, std=math.sqrt(2 / layer.weight[0].numel()))
                    if layer.bias is not None:
                        nn.init.zeros_(layer.bias)
    for module in model.modules():
        if isinstance(module, StructureDecoder):
            _average(module.mix.weight)
        elif isinstance(module, DynamicsDecoder):
            _average(module.expand_in.weight)
            _average(module.expand_out.weight)
        elif isinstance(module, VidTwinQFormer):
            _distinct_queries(module)
        elif isinstance(module, VidTwinBlock):
            module.modulation.zero_()
            module.modulation[[2, 5]] = gate
            nn.init.xavier_uniform_(module.temporal_attention.proj.weight)


def _average(weight: Tensor) -> None:
    """Rows of random positive weights that add up to 1, in place.

    These Linears mix values that are never negative, and a ReLU follows: a row whose weights are negative on
    the whole would leave its frame, row or column of patches without any feature, and without a gradient.
    """
    weight.abs_()
    weight.div_(weight.sum(dim=1, keepdim=True))


def _distinct_queries(qformer: VidTwinQFormer) -> None:
    """Xavier, with little exchange between queries and a feed-forward that acts on each query in its own way.

    A query's own vector decides which hidden units of the GELU are open, so a strong first and second
    Linear give each query another view of the same frames.
    """
    gains = {"self_attention.proj": 0.1, "cross_attention.proj": 0.5, "fc1": 3.0, "fc2": 2.0}
    for name, module in qformer.named_modules():
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            for ending, gain in gains.items():
                if name.endswith(ending):
                    module.weight.mul_(gain)


def start_weights(model: VidTwinModel, start: str) -> None:
    """Bring a newly made `model` to the named start. Raises ValueError for an unknown name."""
    if start not in STARTS:
        raise ValueError(f"start must be one of {', '.join(STARTS)}, got {start!r}.")
    if start == "variance_preserving":
        variance_preserving(model)
