"""VidTwinModel: a video autoencoder with a structure latent and a dynamics latent (arXiv 2412.17726).

Axes: b batch, t frames, c colour, y x pixels, h w patch grid, n query tokens, d latent channels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers import initialization as init
from transformers.utils import ModelOutput
from transformers.utils.generic import can_return_tuple

from ..configuration.configuration_vidtwin import VidTwinConfig
from .latents_vidtwin import DiagonalGaussian, VidTwinPosterior, dynamics_branch, structure_branch
from .transformer_vidtwin import DrawsOwnWeights, VidTwinPatchEmbed, VidTwinPixelHead, VidTwinTransformer


@dataclass
class VidTwinOutput(ModelOutput):
    """reconstruction `b t c y x`; structure, dynamics: the latents that were decoded; kl_loss: scalar, in
    nats per clip, averaged over the batch."""

    reconstruction: Tensor | None = None
    structure: Tensor | None = None
    dynamics: Tensor | None = None
    kl_loss: Tensor | None = None


@dataclass
class VidTwinDecoderOutput(ModelOutput):
    """reconstruction `b t c y x`, about [-1, 1] but not clamped."""

    reconstruction: Tensor | None = None


@dataclass
class VidTwinEncoderOutput(ModelOutput):
    """structure `b n d_S h_S w_S`, dynamics `b t d_D (w_D + h_D)`; kl_loss: scalar, in nats per clip."""

    structure: Tensor | None = None
    dynamics: Tensor | None = None
    kl_loss: Tensor | None = None


class VidTwinPreTrainedModel(PreTrainedModel):
    """What both VidTwin models share: the encoder half, weight drawing and the checks of shapes."""

    config: VidTwinConfig
    config_class = VidTwinConfig
    base_model_prefix = "vidtwin"
    main_input_name = "pixel_values_videos"
    model_tags = ["vidtwin", "video", "autoencoder", "vae", "custom_code"]
    input_modalities = ("video",)
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_flex_attn = False
    _supports_attention_backend = True
    _can_compile_fullgraph = True
    _input_embed_layer = "patch_embed"
    _no_split_modules = ["VidTwinBlock", "VidTwinQFormerLayer", "VidTwinBranch"]

    def __init__(self, config: VidTwinConfig, decodes: bool):
        super().__init__(config)
        self.patch_embed = VidTwinPatchEmbed(config)
        self.encoder = VidTwinTransformer(config)
        self.structure = structure_branch(config, decodes)
        self.dynamics = dynamics_branch(config, decodes)

    def get_input_embeddings(self) -> nn.Module:
        return self.patch_embed

    def set_input_embeddings(self, value: VidTwinPatchEmbed) -> None:
        self.patch_embed = value

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        """The released initialisation: torch's default, redrawn by the modules that start otherwise."""
        if isinstance(module, DrawsOwnWeights):
            module.draw_weights()
        elif isinstance(module, nn.Linear | nn.Conv2d):
            bound = 1 / math.sqrt(module.weight[0].numel())
            init.uniform_(module.weight, -bound, bound)
            init.uniform_(module.bias, -bound, bound)
        elif isinstance(module, nn.LayerNorm):
            init.ones_(module.weight)
            init.zeros_(module.bias)

    def encode(self, pixel_values_videos: Tensor) -> VidTwinPosterior:
        """Posteriors of both latents of each clip, from `b t c y x` in [-1, 1] (paper Sec. 3.2).

        Raises ValueError for a shape other than (b, num_frames, num_channels, image_size, image_size).
        """
        self._check_video(pixel_values_videos)
        hidden = self.encoder(self.patch_embed(pixel_values_videos))
        return VidTwinPosterior(
            structure=DiagonalGaussian(self.structure.encode(hidden)),
            dynamics=DiagonalGaussian(self.dynamics.encode(hidden)),
        )

    def _latents(
        self, posterior: VidTwinPosterior, sample_posterior: bool | None, generator: torch.Generator | None
    ) -> tuple[Tensor, Tensor]:
        """The latents to go on with; None means a sample in training and the mean in evaluation."""
        if self.training if sample_posterior is None else sample_posterior:
            return posterior.structure.sample(generator), posterior.dynamics.sample(generator)
        return posterior.structure.mode(), posterior.dynamics.mode()

    def _check_video(self, video: Tensor) -> None:
        config = self.config
        if not video.is_floating_point():
            raise ValueError(
                f"pixel_values_videos must be floats in [-1, 1], got {video.dtype}. "
                "VidTwinVideoProcessor makes them of uint8 frames."
            )
        wanted = (config.num_frames, config.num_channels, config.image_size, config.image_size)
        if video.ndim == 5 and tuple(video.shape[1:]) == wanted:
            return
        hint = (
            "VidTwinVideoProcessor makes this shape; vidtwin.modeling_vidtwin.long_video cuts longer videos."
        )
        if video.ndim == 5 and tuple(video.shape[i] for i in (2, 1, 3, 4)) == wanted:
            hint = "Dimensions 1 and 2 look swapped: use video.permute(0, 2, 1, 3, 4)."
        raise ValueError(
            f"pixel_values_videos must be (batch, {', '.join(map(str, wanted))}), "
            f"got {tuple(video.shape)}. {hint}"
        )


class VidTwinModel(VidTwinPreTrainedModel):
    """The whole autoencoder: video to two posteriors, and latents back to video."""

    def __init__(self, config: VidTwinConfig):
        super().__init__(config, decodes=True)
        self.decoder = VidTwinTransformer(config)
        self.head = VidTwinPixelHead(config)
        self.post_init()

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path, *model_args, output_loading_info=False, **kwargs):
        """Load a model as every transformers model is loaded.

        Raises ValueError for a folder that VidTwinEncoderModel saved: it has no decoder to load.
        """
        model, info = super().from_pretrained(
            pretrained_model_name_or_path, *model_args, output_loading_info=True, **kwargs
        )
        missing = set(info["missing_keys"])
        without_decoder = all(
            name in missing for name, _ in model.named_parameters() if name.startswith("decoder.")
        )
        if without_decoder and len(missing) < len(model.state_dict()):
            raise ValueError(
                f"{pretrained_model_name_or_path} holds only the encoder half of a VidTwin, saved by "
                "VidTwinEncoderModel. Load it with that class, or load a folder that VidTwinModel saved."
            )
        return (model, info) if output_loading_info else model

    @can_return_tuple
    def decode(self, structure: Tensor | None = None, dynamics: Tensor | None = None) -> VidTwinDecoderOutput:
        """Video from the latents, `b n d_S h_S w_S` and `b t d_D (w_D + h_D)` to `b t c y x` (paper Sec.
        3.3).

        An absent latent leaves its branch's features out of the sum. Raises ValueError when both are
        absent, when a shape is wrong or when the batch sizes differ.
        """
        self._check_latents(structure, dynamics)
        branches = ((self.structure, structure), (self.dynamics, dynamics))
        hidden, *others = (branch.decode(latents) for branch, latents in branches if latents is not None)
        for other in others:
            hidden = hidden + other.to(hidden.device)
        return VidTwinDecoderOutput(reconstruction=self.head(self.decoder(hidden)))

    @can_return_tuple
    def forward(
        self,
        pixel_values_videos: Tensor,
        sample_posterior: bool | None = None,
        generator: torch.Generator | None = None,
        **kwargs,
    ) -> VidTwinOutput:
        """Encode clips `b t c y x` in [-1, 1] and decode them again.

        sample_posterior: decode a sample of the posterior (True), its mean (False), or (None) a sample in
        training and the mean in evaluation. Raises ValueError for a wrong shape.
        """
        _refuse_unknown(kwargs)
        posterior = self.encode(pixel_values_videos)
        structure, dynamics = self._latents(posterior, sample_posterior, generator)
        reconstruction = self.decode(structure=structure, dynamics=dynamics, return_dict=True).reconstruction
        return VidTwinOutput(
            reconstruction=reconstruction,
            structure=structure,
            dynamics=dynamics,
            kl_loss=posterior.kl().mean(),
        )

    def _check_latents(self, structure: Tensor | None, dynamics: Tensor | None) -> None:
        config = self.config
        if structure is None and dynamics is None:
            raise ValueError("decode needs structure, dynamics or both; both are absent.")
        for name, latents, wanted in (
            ("structure", structure, config.structure_shape),
            ("dynamics", dynamics, config.dynamics_shape),
        ):
            if latents is not None and tuple(latents.shape[1:]) != wanted:
                raise ValueError(
                    f"{name} must be (batch, {', '.join(map(str, wanted))}), got {tuple(latents.shape)}."
                )
        if structure is not None and dynamics is not None and structure.shape[0] != dynamics.shape[0]:
            raise ValueError(
                "structure and dynamics must hold as many clips, "
                f"got {structure.shape[0]} and {dynamics.shape[0]}."
            )


def _refuse_unknown(arguments: dict) -> None:
    """Callers of transformers pass some words to every model; a misspelt argument is none of these."""
    unknown = sorted(set(arguments) - {"output_attentions", "output_hidden_states", "use_cache"})
    if unknown:
        raise TypeError(f"forward has no argument {unknown[0]!r}.")


class VidTwinEncoderModel(VidTwinPreTrainedModel):
    """The encoder half under the same tensor names, for those who need only latents; it has no decoder in
    memory."""

    # A folder that VidTwinModel saved holds these too: they are left out on purpose, so no warning.
    _keys_to_ignore_on_load_unexpected = [r"^decoder\.", r"^head\.", r"^(structure|dynamics)\.decoder\."]

    def __init__(self, config: VidTwinConfig):
        super().__init__(config, decodes=False)
        self.post_init()

    @can_return_tuple
    def forward(
        self,
        pixel_values_videos: Tensor,
        sample_posterior: bool | None = None,
        generator: torch.Generator | None = None,
        **kwargs,
    ) -> VidTwinEncoderOutput:
        """Latents of clips `b t c y x` in [-1, 1]; `sample_posterior` as in VidTwinModel. Raises ValueError
        for a wrong shape."""
        _refuse_unknown(kwargs)
        posterior = self.encode(pixel_values_videos)
        structure, dynamics = self._latents(posterior, sample_posterior, generator)
        return VidTwinEncoderOutput(structure=structure, dynamics=dynamics, kl_loss=posterior.kl().mean())


__all__ = ["VidTwinEncoderModel", "VidTwinModel", "VidTwinPreTrainedModel"]
