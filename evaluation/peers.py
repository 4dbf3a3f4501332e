"""Video codecs behind one call: VidTwin, diffusers' and transformers' autoencoders, and H.264.

Axes: b clips, t frames, c colour, y x pixels.
"""

from __future__ import annotations

import hashlib
import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from fractions import Fraction
from io import BytesIO
from typing import Any

import av
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidtwin.modeling_vidtwin.model_folder import find_model


@dataclass(frozen=True)
class Family:
    """A class of diffusers: it takes `first` + a multiple of `stride` frames, of sides that are multiples of
    `side`; `patch` is that of its DiTs."""

    cls: str
    stride: int
    first: int = 1
    patch: int = 2
    side: int = 16


DIFFUSERS = {
    "wan": Family("AutoencoderKLWan", 4),
    "ltx": Family("AutoencoderKLLTXVideo", 8, patch=1, side=32),
    "cogvideox": Family("AutoencoderKLCogVideoX", 4),
    "cosmos": Family("AutoencoderKLCosmos", 8),
    "mochi": Family("AutoencoderKLMochi", 6),
    "hunyuanvideo": Family("AutoencoderKLHunyuanVideo", 4),
    "vidtok": Family("AutoencoderVidTok", 4),
}
LATENT_BITS = 16  # of a number, where bits are compared with numbers
KINDS = (*DIFFUSERS, "emu3", "h264")


class Codec(ABC):
    """What encodes and decodes a clip. `parameters` are those of its network, `numbers` those of its latents
    and `tokens` what a DiT would see of these, known after the first clip."""

    name: str
    parameters = 0
    numbers = 0
    tokens = 0
    trained = True

    @abstractmethod
    def reconstruct(self, clip: Tensor) -> Tensor:
        """A clip `t c y x` in [-1, 1] as it comes back; frames that are lost are missing at the end."""

    def rate(self, clip: Tensor) -> float:
        """Latent numbers over input numbers."""
        return self.numbers / clip.numel()


class VidTwinCodec(Codec):
    """A VidTwin checkpoint, by the posterior mean."""

    def __init__(self, name: str, device: torch.device):
        self.name = name
        self.model = find_model(name).load(device, torch.float32)
        self.parameters = self.model.num_parameters()

    def reconstruct(self, clip: Tensor) -> Tensor:
        config = self.model.config
        if clip.shape[-1] != config.image_size or len(clip) > config.num_frames:
            raise ValueError(
                f"{self.name} takes {config.num_frames} frames of {config.image_size} pixels, got "
                f"{len(clip)} of {clip.shape[-1]}: --image-size {config.image_size} fits it."
            )
        self.numbers = config.num_latents
        shapes = config.structure_shape, config.dynamics_shape
        (queries, _, height, width), (frames, _, sides) = shapes
        self.tokens = math.ceil(queries / 2) * math.ceil(height / 2) * math.ceil(width / 2)
        self.tokens += math.ceil(frames / 2) * math.ceil(sides / 2)
        whole = torch.cat([clip, clip[-1:].expand(config.num_frames - len(clip), -1, -1, -1)])
        return self.model(whole[None]).reconstruction[0, : len(clip)]


class DiffusersCodec(Codec):
    """One of diffusers' autoencoders: its weights of a folder or a Hub id, or "random" for its costs."""

    def __init__(self, kind: str, source: str, device: torch.device):
        self.name, self.family = f"{kind}:{source}", DIFFUSERS[kind]
        cls = getattr(_library("diffusers"), self.family.cls, None)
        if cls is None:
            raise ValueError(f"{kind} needs a diffusers that has {self.family.cls}.")
        self.model: nn.Module = cls() if source == "random" else _loaded(cls, source)
        self.model = self.model.to(device).eval()
        self.parameters = sum(parameter.numel() for parameter in self.model.parameters())
        self.trained = source != "random"

    def reconstruct(self, clip: Tensor) -> Tensor:
        below, right = (-size % self.family.side for size in clip.shape[-2:])
        missing = -(len(clip) - self.family.first) % self.family.stride
        whole = torch.cat([clip, clip[-1:].expand(missing, -1, -1, -1)])
        whole = F.pad(whole, (0, right, 0, below), mode="replicate")
        encoded: Any = self.model.encode(whole.movedim(1, 0)[None])  # type: ignore[operator]
        latents = encoded.latent_dist.mode() if hasattr(encoded, "latent_dist") else encoded[0]
        decoded: Any = self.model.decode(latents)  # type: ignore[operator]
        _, _, frames, height, width = latents.shape
        self.numbers = latents.numel()
        self.tokens = frames * math.ceil(height / self.family.patch) * math.ceil(width / self.family.patch)
        video = decoded.sample if hasattr(decoded, "sample") else decoded
        return video[0].movedim(0, 1)[: len(clip), :, : clip.shape[-2], : clip.shape[-1]]


class Emu3Codec(Codec):
    """transformers' Emu3 tokenizer; a number of its latents is one of the 4 of a code's vector."""

    def __init__(self, source: str, device: torch.device):
        from transformers import Emu3VQVAE, Emu3VQVAEConfig

        self.name = f"emu3:{source}"
        model = Emu3VQVAE(Emu3VQVAEConfig()) if source == "random" else _loaded(Emu3VQVAE, source)
        self.model = model.to(device).eval()
        self.parameters = sum(parameter.numel() for parameter in self.model.parameters())
        self.trained = source != "random"

    def reconstruct(self, clip: Tensor) -> Tensor:
        stride = self.model.config.temporal_downsample_factor
        whole = torch.cat([clip, clip[-1:].expand(-len(clip) % stride, -1, -1, -1)])
        sizes = torch.tensor([clip.shape[-2:]], device=clip.device)
        codes = self.model.encode(whole[None], sizes).image_tokens[0]
        self.tokens = codes.numel()
        self.numbers = codes.numel() * self.model.config.embed_dim
        return self.model.decode(codes[None])[0, : len(clip)]


class H264Codec(Codec):
    """libx264 at the best quality whose pictures fit into `bits` a clip, or at its worst; `sent` tells."""

    def __init__(self, bits: int, fps: float):
        self.name, self.bits, self._fps = f"h264:{bits}", bits, Fraction(fps).limit_denominator(10**6)
        self.sent = 0
        self._quality: dict[bytes, int] = {}

    def rate(self, clip: Tensor) -> float:
        """The bits that were sent of the last clip as latent numbers of 16 bits, over input numbers."""
        return self.sent / LATENT_BITS / clip.numel()

    def reconstruct(self, clip: Tensor) -> Tensor:
        pixels = ((clip.movedim(1, -1) + 1) * 127.5).round().clamp(0, 255).byte().cpu().numpy()
        key = hashlib.sha256(pixels.tobytes()).digest()
        if key not in self._quality:  # searched once, so that a second call takes the time of one encoding
            self._quality[key] = self._search(pixels)
        self.sent, decoded = _h264(pixels, self._quality[key], self._fps)
        return torch.from_numpy(decoded).movedim(-1, 1).to(clip.device, torch.float32) / 127.5 - 1

    def _search(self, pixels: np.ndarray) -> int:
        best, worst = 0, 51  # crf; the bits fall as it grows
        while best < worst:
            middle = (best + worst) // 2
            fits = _h264(pixels, middle, self._fps)[0] <= self.bits
            best, worst = (best, middle) if fits else (middle + 1, worst)
        return best


def _h264(frames: np.ndarray, crf: int, fps: Fraction) -> tuple[int, np.ndarray]:
    """Bits of the pictures alone, and these as they are decoded, `t y x c`; odd sizes grow by an edge."""
    height, width = frames.shape[1:3]
    frames = np.pad(frames, ((0, 0), (0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    file = BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=fps, options={"crf": str(crf), "preset": "slow"})
        stream.height, stream.width, stream.pix_fmt = frames.shape[1], frames.shape[2], "yuv420p"
        packets = []
        for frame in [*(av.VideoFrame.from_ndarray(each, format="rgb24") for each in frames), None]:
            for packet in stream.encode(frame):
                packets.append(packet.size)
                container.mux(packet)
    file.seek(0)
    with av.open(file, "r") as reader:
        decoded = [frame.to_ndarray(format="rgb24") for frame in reader.decode(video=0)]
    return 8 * sum(packets), np.stack(decoded)[:, :height, :width]


def open_codec(spec: str, device: torch.device, fps: float) -> Codec:
    """A codec by its name: a VidTwin model, or KIND:SOURCE with a kind of KINDS and a folder, Hub id or
    "random"; "h264:BITS" takes bits a clip. Raises ValueError for another name or missing weights."""
    kind, colon, source = spec.partition(":")
    if not colon or kind not in KINDS:
        return VidTwinCodec(spec, device)
    if kind == "h264":
        if not source.isdecimal() or int(source) < 1:
            raise ValueError(f"h264 takes bits a clip, such as h264:78848, got {spec!r}.")
        return H264Codec(int(source), fps)
    return Emu3Codec(source, device) if kind == "emu3" else DiffusersCodec(kind, source, device)


def _loaded(cls: Any, source: str) -> Any:
    try:
        return cls.from_pretrained(source)
    except (OSError, ValueError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ValueError(f"{source!r} holds no weights for {cls.__name__}: {reason}") from error


def _library(name: str) -> Any:
    try:
        return __import__(name)
    except ImportError as error:
        raise ValueError(f"this codec needs the library {name}: pip install {name}") from error
