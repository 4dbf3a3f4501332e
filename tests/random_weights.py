"""Weights of full size for a test's model: the released start has zero temporal projections and a nearly
blind Q-Former, which would hide a wrong mask or a wrong axis."""

from typing import TypeVar

import torch
from torch import nn

Module = TypeVar("Module", bound=nn.Module)


@torch.no_grad()
def full_size_weights(module: Module, seed: int = 1) -> Module:
    """`module` with every weight drawn so that its layers keep the size of the signal, the norms' near 1."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in module.named_parameters():
        inputs = parameter[0].numel() if parameter.ndim > 1 else 10
        drawn = torch.randn(parameter.shape, generator=generator) * 1.5 * inputs**-0.5
        parameter.copy_(1 + drawn if name.endswith("norm.weight") else drawn)
    return module
