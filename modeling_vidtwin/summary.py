"""What a configuration amounts to: parameters, shapes, rate and operations, without any weights."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.utils.flop_counter import FlopCounterMode

from ..configuration.configuration_vidtwin import VidTwinConfig
from .modeling_vidtwin import VidTwinModel

# In the order of the data's flow: (what it is called, the module's name).
_ENCODER_PARTS = (
    ("patch embed", "patch_embed"),
    ("encoder", "encoder"),
    ("structure encoder", "structure.encoder"),
    ("dynamics encoder", "dynamics.encoder"),
)
_DECODER_PARTS = (
    ("structure decoder", "structure.decoder"),
    ("dynamics decoder", "dynamics.decoder"),
    ("decoder", "decoder"),
    ("pixel head", "head"),
)


@dataclass(frozen=True)
class ModelSummary:
    """Parameters by part, and floating point operations per clip, 2 per multiply-add; decode_flops is None
    without a decoder."""

    config: VidTwinConfig
    parameters: dict[str, int]
    encode_flops: int
    decode_flops: int | None

    def lines(self) -> list[str]:
        """The summary for people, one line each."""
        config, side = self.config, self.config.image_size
        shapes = {
            "input": (config.num_frames, config.num_channels, side, side),
            "structure": config.structure_shape,
            "dynamics": config.dynamics_shape,
        }
        flops = {"encode": self.encode_flops}
        if self.decode_flops is not None:
            flops |= {"decode": self.decode_flops, "both": self.encode_flops + self.decode_flops}
        counts = {**self.parameters, "all": sum(self.parameters.values())}
        numbers = side * side * config.num_frames * config.num_channels
        return [
            "parameters",
            *(f"  {name:<18}{count:>15,}" for name, count in counts.items()),
            "shapes of one clip",
            *(f"  {name:<18}{' x '.join(map(str, shape)):>15}" for name, shape in shapes.items()),
            f"rate: {config.num_latents:,} latent numbers for {numbers:,} ({config.compression_rate:.4%})",
            "operations per clip (2 per multiply-add)",
            *(f"  {name:<18}{count / 1e9:>11,.1f} GFLOP" for name, count in flops.items()),
        ]


def summarize(config: VidTwinConfig, decodes: bool = True) -> ModelSummary:
    """Count the parameters and operations of the autoencoder on the meta device: no memory, no weights.

    decodes: False counts the encoder half alone (VidTwinEncoderModel).
    """
    with torch.device("meta"):
        model = VidTwinModel(config).eval().requires_grad_(False)
        side = config.image_size
        video = torch.empty(1, config.num_frames, config.num_channels, side, side)
    model.to("meta")  # the position tables are always built on a real device
    model.set_attn_implementation("eager")  # the counter sees its matrix products on every device
    with FlopCounterMode(display=False) as encoding:
        posterior = model.encode(video)
    with FlopCounterMode(display=False) as decoding:
        model.decode(structure=posterior.structure.mode(), dynamics=posterior.dynamics.mode())
    parameters = {
        name: sum(parameter.numel() for parameter in model.get_submodule(module).parameters())
        for name, module in _ENCODER_PARTS + (_DECODER_PARTS if decodes else ())
    }
    decode_flops = decoding.get_total_flops() if decodes else None
    return ModelSummary(config, parameters, encoding.get_total_flops(), decode_flops)
