"""A video of any length <-> clips: T frames in, exactly T frames out, a bounded number of clips in memory.

Axes: t frames, y x pixels, c colour, n query tokens, d latent channels, h w latent grid, s dynamics axis.

The model reads clips of `config.num_frames`. The last clip is filled up by repeating the last frame, and what
comes of the repeated frames is cut off again. Frames are uint8 `y x c` and pass one after another.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple, get_args

import numpy as np
import torch
from torch import Tensor

from .modeling_vidtwin import VidTwinEncoderModel, VidTwinModel
from .video_processing_vidtwin import VideoView, VidTwinVideoProcessor

Part = Literal["all", "structure", "dynamics"]
PARTS: tuple[Part, ...] = get_args(Part)


class EncodedClips(NamedTuple):
    """Posterior means of a few clips in a row, `clips n d h w` and `clips t d s`, and what they came from.

    `frames (t y x c)` are uint8 frames as the model saw them, without padding and repeated ones; `view`
    tells which part of the source they show.
    """

    structure: Tensor
    dynamics: Tensor
    frames: np.ndarray
    view: VideoView


def iter_clips(frames: Iterable[np.ndarray], num_frames: int) -> Iterator[tuple[np.ndarray, int]]:
    """Clips `t y x c` of exactly `num_frames` frames, each with its number of real frames.

    The last frame is repeated to fill the last clip. Raises ValueError when there is no frame at all.
    """
    clip: list[np.ndarray] = []
    empty = True
    for frame in frames:
        empty = False
        clip.append(frame)
        if len(clip) == num_frames:
            yield np.stack(clip), num_frames
            clip = []
    if empty:
        raise ValueError("frames must hold at least one frame, got none. Give a video that is not empty.")
    if clip:
        yield np.stack(clip + [clip[-1]] * (num_frames - len(clip))), len(clip)


def encode_clips(
    model: VidTwinModel | VidTwinEncoderModel,
    processor: VidTwinVideoProcessor,
    frames: Iterable[np.ndarray],
    batch_size: int = 4,
) -> Iterator[EncodedClips]:
    """Latents of a video's frames, uint8 `y x c` of any size, at most `batch_size` clips at a time.

    Raises ValueError for a model in training mode, batch_size below 1, no frames, or frames of unequal sizes.
    """
    _check(model, batch_size)
    pixels: list[Tensor] = []
    count = 0
    view: VideoView | None = None
    for clip, real in iter_clips(frames, model.config.num_frames):
        view = view or processor.view(clip.shape[1], clip.shape[2])
        processed = processor(clip, return_tensors="pt", input_data_format="channels_last")
        pixels.append(processed.pixel_values_videos)
        count += real
        if len(pixels) == batch_size:
            yield _encode(model, processor, torch.cat(pixels), count, view)
            pixels, count = [], 0
    if view and pixels:
        yield _encode(model, processor, torch.cat(pixels), count, view)


@torch.inference_mode()
def _encode(
    model: VidTwinModel | VidTwinEncoderModel,
    processor: VidTwinVideoProcessor,
    pixels: Tensor,
    count: int,
    view: VideoView,
) -> EncodedClips:
    posterior = model.encode(pixels.to(model.device))
    seen = np.concatenate(processor.postprocess(pixels))[:count]
    return EncodedClips(
        posterior.structure.mode(), posterior.dynamics.mode(), processor.remove_padding(seen, view), view
    )


def encode_frames(
    model: VidTwinModel | VidTwinEncoderModel,
    processor: VidTwinVideoProcessor,
    frames: Iterable[np.ndarray],
    batch_size: int = 4,
) -> tuple[Tensor, Tensor, int]:
    """A whole video's latents on the CPU, `clips n d h w` and `clips t d s`, and its number of frames.

    Raises ValueError as encode_clips does.
    """
    structure, dynamics, count = [], [], 0
    for batch in encode_clips(model, processor, frames, batch_size):
        structure.append(batch.structure.cpu())
        dynamics.append(batch.dynamics.cpu())
        count += len(batch.frames)
    return torch.cat(structure), torch.cat(dynamics), count


def decode_latents(
    model: VidTwinModel,
    processor: VidTwinVideoProcessor,
    structure: Tensor | None,
    dynamics: Tensor | None,
    num_frames: int,
    batch_size: int = 4,
) -> Iterator[np.ndarray]:
    """The first `num_frames` frames of latents `clips n d h w` and `clips t d s`, uint8 `y x c`, padded.

    One latent may be None: its branch is then left out. Raises ValueError when both are, when the shapes are
    not the model's, when the clips are not as many as `num_frames` needs, or as encode_clips does.
    """
    _check(model, batch_size)
    clips = -(-num_frames // model.config.num_frames)
    given = {len(latents) for latents in (structure, dynamics) if latents is not None}
    if num_frames < 1 or (given and given != {clips}):
        raise ValueError(
            f"{num_frames} frames need {clips} clips of {model.config.num_frames}, got {sorted(given)}. "
            "Give both latents of one video and its number of frames."
        )
    for start in range(0, clips, batch_size):
        stop = start + batch_size
        batch = [None if latents is None else latents[start:stop] for latents in (structure, dynamics)]
        frames = np.concatenate(_decode(model, processor, *batch))
        yield from frames[: num_frames - start * model.config.num_frames]


@torch.inference_mode()
def _decode(
    model: VidTwinModel, processor: VidTwinVideoProcessor, structure: Tensor | None, dynamics: Tensor | None
) -> list[np.ndarray]:
    structure, dynamics = (
        None if latents is None else latents.to(model.device) for latents in (structure, dynamics)
    )
    video = model.decode(structure=structure, dynamics=dynamics, return_dict=True).reconstruction
    return list(processor.postprocess(video))


def reconstruct_parts(
    model: VidTwinModel,
    processor: VidTwinVideoProcessor,
    frames: Iterable[np.ndarray],
    parts: Iterable[Part] = PARTS,
    batch_size: int = 4,
) -> Iterator[dict[str, np.ndarray]]:
    """For each frame a dict: "original" as the model saw it, and each of `parts` decoded, uint8 `y x c`.

    "all" decodes both latents, "structure" and "dynamics" that one alone; the video is encoded once for all
    parts. Padding is cut away. Raises ValueError for an unknown part, or as encode_clips does.
    """
    parts = tuple(parts)
    unknown = [part for part in parts if part not in PARTS]
    if unknown:
        raise ValueError(f"a part must be one of {', '.join(PARTS)}, got {unknown[0]!r}.")
    for batch in encode_clips(model, processor, frames, batch_size):
        decoded = []
        for part in parts:
            structure = None if part == "dynamics" else batch.structure
            dynamics = None if part == "structure" else batch.dynamics
            decoded.append(
                decode_latents(model, processor, structure, dynamics, len(batch.frames), batch_size)
            )
        for original, *pictures in zip(batch.frames, *decoded, strict=True):
            shown = (processor.remove_padding(picture, batch.view) for picture in pictures)
            yield {"original": original, **dict(zip(parts, shown, strict=True))}


def reconstruct_frames(
    model: VidTwinModel,
    processor: VidTwinVideoProcessor,
    frames: Iterable[np.ndarray],
    part: Part = "all",
    batch_size: int = 4,
) -> Iterator[np.ndarray]:
    """The reconstruction of each frame, uint8 `y x c`; see reconstruct_parts."""
    for pictures in reconstruct_parts(model, processor, frames, (part,), batch_size):
        yield pictures[part]


def swap_frames(
    model: VidTwinModel,
    processor: VidTwinVideoProcessor,
    structure_frames: Iterable[np.ndarray],
    dynamics_frames: Iterable[np.ndarray],
    batch_size: int = 4,
) -> Iterator[np.ndarray]:
    """The structure of one video with the dynamics of another, uint8 `y x c` (cross-reenactment).

    It ends with the shorter video; the padding cut away is that of the structure's video. Raises ValueError
    as encode_clips does.
    """
    of_structure = encode_clips(model, processor, structure_frames, batch_size)
    of_dynamics = encode_clips(model, processor, dynamics_frames, batch_size)
    for one, other in zip(of_structure, of_dynamics, strict=False):
        clips = min(len(one.structure), len(other.dynamics))
        count = min(len(one.frames), len(other.frames))
        structure, dynamics = one.structure[:clips], other.dynamics[:clips]
        for frame in decode_latents(model, processor, structure, dynamics, count, batch_size):
            yield processor.remove_padding(frame, one.view)


def _check(model: VidTwinModel | VidTwinEncoderModel, batch_size: int) -> None:
    if model.training:
        raise ValueError("the model must be in eval mode, got training mode. Call model.eval() first.")
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}.")
