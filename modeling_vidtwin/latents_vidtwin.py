"""The two latents of VidTwin: their posterior, the structure branch and the dynamics branch (paper Sec. 3.2).

Axes: b batch, t frames, h w patch grid, n query tokens, d latent channels, c hidden channels,
s one dynamics axis after another: width then height (w_D + h_D). A branch encodes `b t h w c` into moments
(mean, then log-variance, along the channel axis) and decodes latents into `b t h w c`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn
from transformers import initialization as init
from transformers.modeling_layers import GradientCheckpointingLayer

from ..configuration.configuration_vidtwin import VidTwinConfig
from .transformer_vidtwin import DrawsOwnWeights, attend


class DiagonalGaussian:
    """A Gaussian with independent coordinates, given by its moments along channel axis `dim`: mean,
    log-variance.

    The log-variance is clamped to [-30, 20] as in the released model. KL and samples are computed in
    float32 at least.
    """

    def __init__(self, moments: Tensor, dim: int = 2):
        self.mean, logvar = moments.chunk(2, dim=dim)
        self.logvar = logvar.clamp(-30.0, 20.0)

    @property
    def std(self) -> Tensor:
        """Standard deviation, the mean's shape, in float32 at least."""
        return torch.exp(0.5 * _at_least_float32(self.logvar))

    def mode(self) -> Tensor:
        """The most likely latents: the mean."""
        return self.mean

    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """Draw latents, the mean's shape, in float32 at least."""
        mean = _at_least_float32(self.mean)
        noise = torch.randn(mean.shape, generator=generator, device=mean.device, dtype=mean.dtype)
        return mean + self.std * noise

    def kl(self) -> Tensor:
        """KL divergence from the standard normal summed over a clip's coordinates, `(b,)`, in nats (Sec.
        3.4)."""
        mean, logvar = _at_least_float32(self.mean), _at_least_float32(self.logvar)
        return 0.5 * (mean.square() + logvar.exp() - 1.0 - logvar).flatten(1).sum(dim=1)


def _at_least_float32(tensor: Tensor) -> Tensor:
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


@dataclass
class VidTwinPosterior:
    """What the encoder knows of a clip: `structure` over `b n d_S h_S w_S`, `dynamics` over `b t d_D (w_D +
    h_D)`."""

    structure: DiagonalGaussian
    dynamics: DiagonalGaussian

    def kl(self) -> Tensor:
        """KL divergence of both latents together, `(b,)`, in nats."""
        return self.structure.kl() + self.dynamics.kl()


class VidTwinQFormerAttention(nn.Module):
    """Attention of query tokens to a context, with residual and post-norm, `b n d_q, b s c -> b n d_q`."""

    is_causal = False

    def __init__(self, config: VidTwinConfig, context_size: int):
        super().__init__()
        width = config.qformer_hidden_size
        self.config = config
        self.num_heads = config.qformer_num_attention_heads
        self.scaling = (width // self.num_heads) ** -0.5
        self.dropout = config.qformer_dropout
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(context_size, width)
        self.value = nn.Linear(context_size, width)
        self.proj = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width, eps=config.qformer_layer_norm_eps)

    def forward(self, queries: Tensor, context: Tensor) -> Tensor:
        query, key, value = (
            rearrange(linear(tokens), "b s (heads d) -> b heads s d", heads=self.num_heads)
            for linear, tokens in ((self.query, queries), (self.key, context), (self.value, context))
        )
        attended = self.proj(attend(self, query, key, value, dropout=self.dropout if self.training else 0.0))
        return self.norm(F.dropout(attended, self.dropout, self.training) + queries)


class VidTwinQFormerLayer(GradientCheckpointingLayer):
    """Self-attention of the queries, in every second layer cross-attention to the context, feed-forward
    (BLIP-2)."""

    def __init__(self, config: VidTwinConfig, has_cross_attention: bool):
        super().__init__()
        width = config.qformer_hidden_size
        self.dropout = config.qformer_dropout
        self.self_attention = VidTwinQFormerAttention(config, width)
        self.cross_attention = (
            VidTwinQFormerAttention(config, config.hidden_size) if has_cross_attention else None
        )
        self.fc1 = nn.Linear(width, config.qformer_intermediate_size)
        self.fc2 = nn.Linear(config.qformer_intermediate_size, width)
        self.norm = nn.LayerNorm(width, eps=config.qformer_layer_norm_eps)

    def forward(self, queries: Tensor, context: Tensor) -> Tensor:
        queries = self.self_attention(queries, queries)
        if self.cross_attention is not None:
            queries = self.cross_attention(queries, context)
        expanded = F.dropout(self.fc2(F.gelu(self.fc1(queries))), self.dropout, self.training)
        return self.norm(expanded + queries)


class VidTwinQFormer(DrawsOwnWeights):
    """Learned queries that read a context by attention, `b s c -> b n d_q` (BLIP-2's Q-Former, paper Sec.
    3.2.1)."""

    def __init__(self, config: VidTwinConfig, num_queries: int):
        super().__init__()
        self.dropout = config.qformer_dropout
        self.queries = nn.Parameter(torch.empty(num_queries, config.qformer_hidden_size))
        self.norm = nn.LayerNorm(config.qformer_hidden_size, eps=config.qformer_layer_norm_eps)
        self.layers = nn.ModuleList(
            VidTwinQFormerLayer(config, has_cross_attention=index % 2 == 0)
            for index in range(config.qformer_num_hidden_layers)
        )

    def draw_weights(self) -> None:
        init.normal_(self.queries)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                init.normal_(module.weight, std=0.02)
                init.zeros_(module.bias)

    def forward(self, context: Tensor) -> Tensor:
        queries = self.norm(self.queries).expand(context.shape[0], -1, -1)
        queries = F.dropout(queries, self.dropout, self.training)
        for layer in self.layers:
            queries = layer(queries, context)
        return queries


class TokenLinear(nn.Linear):
    """A Linear over axis 1 (tokens to frames or back), `b n ... -> b m ...`."""

    def forward(self, tokens: Tensor) -> Tensor:
        mixed = self.weight @ tokens.flatten(2) + self.bias[:, None]
        return mixed.unflatten(2, tokens.shape[2:])


def downsampling(channels: list[int]) -> nn.Sequential:
    """3x3 convolutions of stride 2, each with ReLU, from each channel count to the next."""
    layers: list[nn.Module] = []
    for before, after in zip(channels, channels[1:], strict=False):
        layers += [nn.Conv2d(before, after, 3, stride=2, padding=1), nn.ReLU()]
    return nn.Sequential(*layers)


def upsampling(channels: list[int]) -> nn.Sequential:
    """3x3 convolutions, each with ReLU and nearest doubling, from each channel count to the next."""
    layers: list[nn.Module] = []
    for before, after in zip(channels, channels[1:], strict=False):
        layers += [nn.Conv2d(before, after, 3, padding=1), nn.ReLU(), nn.Upsample(scale_factor=2)]
    return nn.Sequential(*layers)


def _structure_widths(config: VidTwinConfig) -> list[int]:
    return [
        config.structure_init_channels * 2**index for index in range(config.structure_num_downsamples + 1)
    ]


class QFormerTokens(nn.Module):
    """The frames of each patch read by a Q-Former into n tokens, `b t h w c -> b n h w d_q` (paper Sec.
    3.2.1)."""

    def __init__(self, config: VidTwinConfig):
        super().__init__()
        self.qformer = VidTwinQFormer(config, config.num_query_tokens)

    def forward(self, hidden: Tensor) -> Tensor:
        b, _, h, w, _ = hidden.shape
        tokens = self.qformer(rearrange(hidden, "b t h w c -> (b h w) t c").contiguous())
        return rearrange(tokens, "(b h w) n c -> b n h w c", b=b, h=h, w=w)


class LinearTokens(nn.Module):
    """Ablation: the frames of each patch mixed into n tokens by a Linear, `b t h w c -> b n h w d_q`."""

    def __init__(self, config: VidTwinConfig):
        super().__init__()
        self.proj = nn.Linear(config.hidden_size, config.qformer_hidden_size)
        self.mix = TokenLinear(config.num_frames, config.num_query_tokens)

    def forward(self, hidden: Tensor) -> Tensor:
        return self.mix(self.proj(hidden))


class StructureEncoder(nn.Module):
    """`b t h w c` to structure moments `b n (2 d_S) h_S w_S`."""

    heads = {"qformer": QFormerTokens, "linear": LinearTokens}

    def __init__(self, config: VidTwinConfig):
        super().__init__()
        widths = _structure_widths(config)
        self.tokens = self.heads[config.structure_head](config)
        self.conv_in = nn.Conv2d(config.qformer_hidden_size, widths[0], 3, padding=1)
        self.down = downsampling(widths)
        self.conv_out = nn.Conv2d(widths[-1], 2 * config.structure_channels, 3, padding=1)

    def forward(self, hidden: Tensor) -> Tensor:
        b = hidden.shape[0]
        planes = rearrange(self.tokens(hidden), "b n h w c -> (b n) c h w")
        return rearrange(self.conv_out(self.down(self.conv_in(planes))), "(b n) d h w -> b n d h w", b=b)


class StructureDecoder(nn.Module):
    """Structure latents `b n d_S h_S w_S` to `b t h w c`."""

    def __init__(self, config: VidTwinConfig):
        super().__init__()
        widths = _structure_widths(config)[::-1]
        self.grid_size = config.grid_size
        self.conv_in = nn.Conv2d(config.structure_channels, widths[0], 3, padding=1)
        self.up = upsampling(widths)
        self.conv_out = nn.Conv2d(widths[-1], config.qformer_hidden_size, 3, padding=1)
        self.proj = nn.Linear(config.qformer_hidden_size, config.hidden_size)
        self.mix = TokenLinear(config.num_query_tokens, config.num_frames)

    def forward(self, latents: Tensor) -> Tensor:
        b = latents.shape[0]
        planes = rearrange(latents, "b n d h w -> (b n) d h w").to(self.conv_in.weight.dtype)
        planes = self.conv_out(self.up(F.relu(self.conv_in(planes))))
        top = (
            planes.shape[-1] - self.grid_size
        ) // 2  # doubling overshoots a grid that was halved with rounding up
        planes = planes[..., top : top + self.grid_size, top : top + self.grid_size]
        tokens = F.relu(self.proj(rearrange(planes, "(b n) c h w -> b n h w c", b=b)))
        return F.relu(self.mix(tokens))


class AverageMoments(nn.Module):
    """Each frame averaged over its height and over its width, then a 3x3 convolution over time and the axis
    left: `b t c h w -> b t (2 d_D) (w + h)` (paper Sec. 3.2.2)."""

    def __init__(self, config: VidTwinConfig):
        super().__init__()
        self.conv = nn.Conv2d(config.hidden_size, 2 * config.dynamics_channels, 3, padding=1)

    def forward(self, hidden: Tensor) -> Tensor:
        averages = torch.stack([hidden.mean(dim=3), hidden.mean(dim=4)])  # over height, over width
        planes = rearrange(averages, "plane b t c s -> (plane b) c t s")
        return rearrange(self.conv(planes), "(plane b) d t s -> b t d (plane s)", plane=2)


class QFormerMoments(nn.Module):
    """Ablation: w_D + h_D queries read each frame's patches, `b t c h w -> b t (2 d_D) (w + h)`."""

    def __init__(self, config: VidTwinConfig):
        super().__init__()
        self.qformer = VidTwinQFormer(config, 2 * config.dynamics_size)
        self.proj = nn.Linear(config.qformer_hidden_size, 2 * config.dynamics_channels)

    def forward(self, hidden: Tensor) -> Tensor:
        b = hidden.shape[0]
        tokens = self.qformer(rearrange(hidden, "b t c h w -> (b t) (h w) c"))
        return rearrange(self.proj(tokens), "(b t) s d -> b t d s", b=b)


class DynamicsEncoder(nn.Module):
    """`b t h w c` to dynamics moments `b t (2 d_D) (w_D + h_D)`."""

    heads = {"mean": AverageMoments, "qformer": QFormerMoments}

    def __init__(self, config: VidTwinConfig):
        super().__init__()
        self.down = downsampling([config.hidden_size] * (config.dynamics_num_downsamples + 1))
        self.moments = self.heads[config.dynamics_head](config)

    def forward(self, hidden: Tensor) -> Tensor:
        b = hidden.shape[0]
        planes = self.down(rearrange(hidden, "b t h w c -> (b t) c h w"))
        return self.moments(rearrange(planes, "(b t) c h w -> b t c h w", b=b))


class DynamicsDecoder(nn.Module):
    """Dynamics latents `b t d_D (w_D + h_D)` to `b t h w c`: each axis repeated along the other, added."""

    def __init__(self, config: VidTwinConfig):
        super().__init__()
        self.proj_in = nn.Linear(config.dynamics_channels, config.hidden_size)
        self.proj_out = nn.Linear(config.hidden_size, config.hidden_size)
        self.expand_in = nn.Linear(config.dynamics_size, config.grid_size)
        self.expand_out = nn.Linear(config.grid_size, config.grid_size)

    def forward(self, latents: Tensor) -> Tensor:
        axes = rearrange(latents, "b t d (plane s) -> plane b t s d", plane=2).to(self.proj_in.weight.dtype)
        axes = F.relu(self.proj_out(F.relu(self.proj_in(axes)))).transpose(-1, -2)
        axes = F.relu(self.expand_out(F.relu(self.expand_in(axes)))).transpose(-1, -2)
        width, height = axes.unbind(0)
        return width[:, :, None, :] + height[:, :, :, None]


class VidTwinBranch(nn.Module):
    """One latent: its way in and, unless only the encoder half of the model is wanted, its way back."""

    def __init__(self, encoder: nn.Module, decoder: nn.Module | None):
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder

    def encode(self, hidden: Tensor) -> Tensor:
        """Moments of the latents from the encoder's output, `b t h w c -> moments`."""
        return self.encoder(hidden)

    def decode(self, latents: Tensor) -> Tensor:
        """The branch's features for the decoder from the latents, `latents -> b t h w c`.

        Raises ValueError in the encoder half of a model.
        """
        if self.decoder is None:
            raise ValueError("This is the encoder half of a VidTwin: load VidTwinModel to decode latents.")
        return self.decoder(latents)


def structure_branch(config: VidTwinConfig, decodes: bool) -> VidTwinBranch:
    """The branch of the structure latents (paper Sec. 3.2.1)."""
    return VidTwinBranch(StructureEncoder(config), StructureDecoder(config) if decodes else None)


def dynamics_branch(config: VidTwinConfig, decodes: bool) -> VidTwinBranch:
    """The branch of the dynamics latents (paper Sec. 3.2.2)."""
    return VidTwinBranch(DynamicsEncoder(config), DynamicsDecoder(config) if decodes else None)
