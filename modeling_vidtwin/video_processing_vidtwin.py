"""Frames of any size <-> the square `pixel_values_videos` that the model reads.

Axes: b batch, t frames, c colour, y x pixels.

The default is the paper's evaluation protocol as its released code carries it out: the short side is resized
to the model's size (bilinear with antialiasing), the centre square is kept, and uint8 values become [-1, 1].
"""

import os
from fractions import Fraction
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from einops import rearrange
from torch import Tensor
from transformers.image_processing_utils import BatchFeature
from transformers.image_utils import (
    ChannelDimension,
    PILImageResampling,
    SizeDict,
    infer_channel_dimension_format,
    is_pil_image,
)
from transformers.processing_utils import Unpack, VideosKwargs
from transformers.video_processing_utils import BaseVideoProcessor
from transformers.video_utils import VideoMetadata, make_batched_videos

from ..configuration.configuration_vidtwin import VidTwinConfig
from ..configuration.remote_code import without_code, write_remote_code
from .video_io import read_video, write_video

Fit = Literal["crop", "pad", "squash"]
Box = tuple[int, int, int, int]

_SCALING = ("do_rescale", "rescale_factor", "do_normalize", "image_mean", "image_std")


class VidTwinVideoProcessorKwargs(VideosKwargs, total=False):  # type: ignore[call-arg]
    """transformers' video options and `fit`, which sets `size` from `crop_size`.

    "crop" resizes the short side and keeps the centre, "pad" keeps the whole picture and its aspect between
    black bars, "squash" resizes both sides and changes the aspect.
    """

    fit: Fit | None


class VideoView(NamedTuple):
    """What becomes of a frame: resized, then the box `crop` of it lands on the box `picture` of the output.

    Sizes are (height, width), boxes (top, left, height, width), all in pixels.
    """

    source: tuple[int, int]
    resized: tuple[int, int]
    output: tuple[int, int]
    crop: Box
    picture: Box

    def describe(self) -> str:
        """One line for people, such as "1280x720 resized to 398x224, centre 224x224 kept (44 % cut away)"."""
        source, resized, kept, output = (
            f"{width}x{height}" for height, width in (self.source, self.resized, self.crop[2:], self.output)
        )
        line = source if source == resized else f"{source} resized to {resized}"
        if kept != resized:
            share = 1 - self.crop[2] * self.crop[3] / (self.resized[0] * self.resized[1])
            line += f", centre {kept} kept ({share:.0%} cut away)"
        return line if kept == output else f"{line}, padded to {output}"


class VidTwinVideoProcessor(BaseVideoProcessor):
    """Turns videos into `pixel_values_videos (b t c y x)` in [-1, 1], and model output into uint8 frames.

    A video is an array or tensor (t y x c) or (t c y x), a list of frames (PIL images, arrays), a path, or an
    image, which counts as a video of one frame. Frames may have 1, 3 or 4 colours and always leave with 3
    (transparency over white). They are uint8, float in [0, 255], or float in [0, 1] with `do_rescale=False`:
    other values are a ValueError. The frame count changes only under `do_sample_frames=True`.
    """

    valid_kwargs = VidTwinVideoProcessorKwargs
    model_input_names = ["pixel_values_videos"]
    default_to_square = False
    do_convert_rgb = True
    do_resize = True
    size = {"shortest_edge": 224}
    resample = PILImageResampling.BILINEAR
    do_center_crop = True
    crop_size = {"height": 224, "width": 224}
    do_rescale = True
    rescale_factor = 1 / 255
    do_normalize = True
    image_mean = [0.5, 0.5, 0.5]
    image_std = [0.5, 0.5, 0.5]
    do_sample_frames = False

    def __init__(self, **kwargs: Unpack[VidTwinVideoProcessorKwargs]) -> None:
        super().__init__(**kwargs)
        # `size` says it from here on: a second memory of it would overrule a `size` given later.
        self.__dict__.pop("fit", None)

    @classmethod
    def from_config(cls, config: VidTwinConfig, fit: Fit = "crop") -> "VidTwinVideoProcessor":
        """The processor whose output has the model's `image_size`.

        Raises ValueError for a model of other channels than red, green and blue.
        """
        if config.num_channels != 3:
            raise ValueError(f"a video processor makes 3 channels, got a model of {config.num_channels}.")
        return cls(fit=fit, crop_size=config.image_size)

    def save_pretrained(self, save_directory: str | os.PathLike, push_to_hub: bool = False, **kwargs: Any):
        """As transformers', and the code that AutoVideoProcessor needs where `vidtwin` is not installed."""
        if self._auto_class is None:
            auto_map = {"AutoVideoProcessor": "video_processing_vidtwin.VidTwinVideoProcessor"}
            if write_remote_code(save_directory, auto_map):
                self.auto_map = auto_map
        return super().save_pretrained(save_directory, push_to_hub=push_to_hub, **kwargs)

    def _get_files_timestamps(self, working_dir: str | os.PathLike) -> dict[str, float]:
        return without_code(super()._get_files_timestamps(working_dir))

    def preprocess(self, videos: Any, **kwargs: Unpack[VidTwinVideoProcessorKwargs]) -> BatchFeature:
        """`pixel_values_videos`: one (t c y x) tensor per video, or `b t c y x` with `return_tensors`.

        Raises ValueError for an empty video, frames without a clear colour axis, values out of range, a
        picture smaller than the crop, or more sampled frames than exist.
        """
        layout = kwargs.pop("input_data_format", self.input_data_format)
        batch = [
            video if isinstance(video, str | list) else self._rgb_frames(_colour_first(video, layout))
            for video in make_batched_videos(_plain_videos(videos))
        ]
        return super().preprocess(batch, **kwargs, input_data_format=ChannelDimension.FIRST)

    def postprocess(self, video: Tensor | np.ndarray) -> np.ndarray | list[np.ndarray]:
        """Model output back to pixels: `t c y x -> t y x c` uint8, and `b t c y x` to a list of b of them.

        Undoes the normalisation in float32, rounds and clamps: every uint8 value returns exactly, from
        bfloat16 too. Raises ValueError for another shape, and for NaN
        and infinities.
        """
        video = torch.as_tensor(video).detach().to(torch.float32)
        if video.ndim not in (4, 5) or video.shape[-3] != 3:
            raise ValueError(
                "video must be (frames, 3, height, width), with or without a batch before it, got "
                f"{tuple(video.shape)}. Pass the model's `reconstruction` as it is."
            )
        if not video.isfinite().all():
            raise ValueError("video must be finite, got NaN or infinity: the model or its dtype overflowed.")
        if self.do_normalize:
            mean, std = (video.new_tensor(v).view(-1, 1, 1) for v in (self.image_mean, self.image_std))
            video = video * std + mean
        if self.do_rescale:
            video = video / self.rescale_factor
        elif self.do_normalize:
            video = video * 255
        pixels = video.round().clamp(0, 255).to(torch.uint8)
        frames = rearrange(pixels, "... c y x -> ... y x c").contiguous().cpu().numpy()
        return list(frames) if frames.ndim == 5 else frames

    def view(self, height: int, width: int, fit: Fit | None = None) -> VideoView:
        """Which part of a (height, width) frame the output shows, and where; ValueError as in preprocess."""
        options = {name: getattr(self, name) for name in ("size", "crop_size", "do_resize", "do_center_crop")}
        return _view((height, width), self._standardize_kwargs(fit=fit, **options))

    def remove_padding(self, frames: np.ndarray, view: VideoView) -> np.ndarray:
        """The frames without the black bars of fit="pad", `... y x c -> ... y x c`; without bars the same."""
        if frames.shape[-3:-1] != view.output:
            raise ValueError(
                f"frames must be (..., {view.output[0]}, {view.output[1]}, 3) for this view, got "
                f"{frames.shape}. Pass frames from `postprocess` and the view that they were made with."
            )
        top, left, height, width = view.picture
        return frames[..., top : top + height, left : left + width, :]

    def read_video(self, path: str | os.PathLike, fps: Any = None) -> tuple[np.ndarray, Fraction]:
        """A video file's frames, uint8 (t y x c), and their rate; `fps` asks for another rate."""
        return read_video(path, fps=fps)

    def write_video(self, path: str | os.PathLike, frames: np.ndarray, fps: Any) -> None:
        """Writes uint8 frames (t y x c) to a video file."""
        write_video(path, frames, fps)

    def fetch_videos(self, video_url_or_urls: Any, sample_indices_fn: Any = None) -> Any:
        """Frames (t c y x) and metadata of video files, by PyAV; transformers' own way needs torchcodec."""
        if isinstance(video_url_or_urls, list):
            fetched = [self.fetch_videos(path, sample_indices_fn) for path in video_url_or_urls]
            return [list(column) for column in zip(*fetched, strict=True)]
        frames, fps = self.read_video(video_url_or_urls)
        frames = rearrange(frames, "t y x c -> t c y x")
        metadata = VideoMetadata(
            total_num_frames=len(frames),
            fps=float(fps),
            height=frames.shape[2],
            width=frames.shape[3],
            duration=float(len(frames) / fps),
            video_backend="pyav",
        )
        kept = sample_indices_fn(metadata=metadata) if sample_indices_fn else range(len(frames))
        metadata.frames_indices = [int(index) for index in kept]
        return frames[metadata.frames_indices] if sample_indices_fn else frames, metadata

    def _standardize_kwargs(self, fit: Fit | None = None, **kwargs: Any) -> dict[str, Any]:
        options = super()._standardize_kwargs(**kwargs)
        if fit is not None:
            options["size"] = _size_for(fit, options["crop_size"])
        return options

    def _rgb_frames(self, video: Tensor) -> Tensor:
        """`t c y x -> t 3 y x`: grey is repeated, transparency laid over white, every video is made RGB."""
        if video.shape[1] == 1:
            return video.expand(-1, 3, -1, -1)
        if video.shape[1] == 3:
            return video
        if video.dtype != torch.uint8:
            raise ValueError(
                f"frames with transparency must be uint8, got {video.dtype}. Convert them, or drop it."
            )
        return self.convert_to_rgb(video).round().to(torch.uint8)

    def _preprocess(self, videos: list[Tensor], return_tensors: Any = None, **options: Any) -> BatchFeature:
        white = _white(options)
        processed = []
        for video in videos:
            _check_values(video, white)
            source = (video.shape[-2], video.shape[-1])
            view = _view(source, options)
            if view.resized != source:
                video = self.resize(video, SizeDict(*view.resized), resample=options["resample"])
                if white and video.dtype != torch.uint8:
                    video = video.clamp(0, white)  # bicubic overshoots; torchvision clamps uint8 itself
            if options["do_center_crop"]:
                video = self.center_crop(video, options["crop_size"])
            processed.append(self.rescale_and_normalize(video, *(options[name] for name in _SCALING)))
        return BatchFeature(data={"pixel_values_videos": processed}, tensor_type=return_tensors)


def _plain_videos(videos: Any) -> Any:
    """Without paths (strings instead), grey frames without a colour axis, and PIL images of rare modes."""
    if isinstance(videos, list | tuple):
        if not videos:
            raise ValueError("videos must hold at least one frame, got an empty list.")
        plain = [_plain_videos(video) for video in videos]
        frames = all(isinstance(video, Tensor) and video.ndim == 3 for video in plain)
        return torch.stack(plain) if frames else plain  # transformers would take each through numpy
    if is_pil_image(videos) and videos.mode not in ("RGB", "RGBA"):
        return videos.convert("RGBA" if videos.has_transparency_data else "RGB")
    if isinstance(videos, np.ndarray | Tensor) and videos.ndim == 2:
        return videos[..., None]
    return os.fspath(videos) if isinstance(videos, os.PathLike) else videos


def _colour_first(video: Tensor | np.ndarray, layout: str | None) -> Tensor:
    """One video as (t c y x), uint8 or float32, whichever of the known layouts it came in."""
    frames = torch.as_tensor(np.ascontiguousarray(video) if isinstance(video, np.ndarray) else video)
    colours = [count for count in (3, 1, 4) if count in (frames.shape[1], frames.shape[3])]
    if layout is None and colours:
        layout = infer_channel_dimension_format(frames, num_channels=colours[0])
    if layout == ChannelDimension.LAST:
        frames = rearrange(frames, "t y x c -> t c y x")
    if frames.numel() == 0 or frames.shape[1] not in (1, 3, 4):
        raise ValueError(
            "a video must be (frames, height, width, colours) or (frames, colours, height, width) with 1, 3 "
            f"or 4 colours and at least one frame, got {tuple(video.shape)}. Permute or drop it."
        )
    return frames if frames.dtype == torch.uint8 else frames.to(torch.float32)


def _white(options: dict[str, Any]) -> float | None:
    """The value of white in the frames that come in; None if they pass unscaled."""
    if options["do_rescale"]:
        return 1 / options["rescale_factor"]
    return 1.0 if options["do_normalize"] else None


def _check_values(video: Tensor, white: float | None) -> None:
    """Refuses values outside [0, white], and float frames that look scaled to [0, 1] already."""
    if white is None or (video.dtype == torch.uint8 and white >= 255):
        return
    low, high = (value.item() for value in video.aminmax())
    advice = "Pass uint8 frames, float frames in [0, 255], or float frames in [0, 1] with do_rescale=False."
    if not (low >= 0 and high <= white * (1 + 1e-6)):
        raise ValueError(f"frames must lie in [0, {white:g}], got [{low:g}, {high:g}]. {advice}")
    if white > 1 and 0 < high <= 1:
        raise ValueError(f"frames look scaled to [0, 1] already, got [{low:g}, {high:g}]. {advice}")


def _size_for(fit: Fit, crop_size: SizeDict) -> SizeDict:
    """The form of transformers' `size` that brings frames to `crop_size` in the given way."""
    height, width = crop_size.height, crop_size.width
    if fit == "crop":
        return SizeDict(shortest_edge=max(height, width))
    if fit == "pad":
        return SizeDict(max_height=height, max_width=width)
    if fit == "squash":
        return SizeDict(height=height, width=width)
    raise ValueError(f'fit must be "crop", "pad" or "squash", got {fit!r}.')


def _resized(source: tuple[int, int], size: SizeDict) -> tuple[int, int]:
    """(height, width) after the resize, rounded down as torchvision does, but never to 0."""
    height, width = source
    if size.height and size.width:
        return size.height, size.width
    if size.max_height and size.max_width:
        if size.max_height * width < size.max_width * height:
            return size.max_height, max(1, width * size.max_height // height)
        return max(1, height * size.max_width // width), size.max_width
    if size.shortest_edge and not size.longest_edge:
        return height * size.shortest_edge // min(source), width * size.shortest_edge // min(source)
    raise ValueError(
        "size must be an int or hold shortest_edge, height and width, or max_height and max_width, got "
        f"{dict(size)}. `fit` sets it by name."
    )


def _view(source: tuple[int, int], options: dict[str, Any]) -> VideoView:
    """Where a frame of size `source` goes; ValueError if bars would appear that nobody asked for."""
    size, crop_size = options["size"], options["crop_size"]
    resized = _resized(source, size) if options["do_resize"] else source
    output = (crop_size.height, crop_size.width) if options["do_center_crop"] else resized
    kept = (min(resized[0], output[0]), min(resized[1], output[1]))
    if kept != output and not (options["do_resize"] and size.max_height):
        raise ValueError(
            f"resized frames must not be smaller than crop_size, {output} (height, width), got {resized}. "
            'Raise `size`, lower `crop_size`, or pass fit="pad" for black bars.'
        )
    crop = ((resized[0] - kept[0]) // 2, (resized[1] - kept[1]) // 2, *kept)
    picture = ((output[0] - kept[0]) // 2, (output[1] - kept[1]) // 2, *kept)
    return VideoView(source, resized, output, crop, picture)
