"""Training clips: real videos of a folder and rendered scenes, cropped, flipped and reproducible by place
in the run.

Clip number i depends on the seed and on i alone. A resumed run therefore goes on with the very clips that
the uninterrupted run would have seen, and skipping them costs nothing. Axes: t frames, y x pixels, c
colour.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, fields
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import Dataset

from vidtwin.modeling_vidtwin.video_io import VideoError, VideoReader, read_video

from .scenes import render_clip

VIDEO_SUFFIXES = frozenset({".avi", ".gif", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm"})


@dataclass
class DataSettings:
    """Where clips come from: a folder of videos (searched deeply), and which share of the clips is rendered
    instead.

    include: file name patterns, all if empty. fps: frame rates to draw from. least_crop: the smallest
    crop's side as a share of the frame's short side. Raises ValueError for settings without any clip.
    """

    videos: str | None = None
    include: tuple[str, ...] = ()
    rendered_share: float = 0.0
    fps: tuple[float, ...] = (8.0,)
    least_crop: float = 0.6

    def __post_init__(self) -> None:
        self.include, self.fps = as_tuple(self.include), as_tuple(self.fps)  # YAML has lists, or one alone
        check_numbers("data", self)
        if not 0 <= self.rendered_share <= 1:
            raise ValueError(f"data.rendered_share must be in [0, 1], got {self.rendered_share}.")
        if not 0 < self.least_crop <= 1:
            raise ValueError(f"data.least_crop must be in (0, 1], got {self.least_crop}.")
        if not self.fps or min(self.fps) <= 0:
            raise ValueError(f"data.fps must be positive frame rates, got {self.fps}.")
        if self.videos is None and self.rendered_share == 0:
            raise ValueError("No clips: name a folder with data.videos, or set data.rendered_share above 0.")


def as_tuple(value: Any) -> tuple:
    """A list as a tuple; a value alone as a tuple of it."""
    return tuple(value) if isinstance(value, list | tuple) else (value,)


def check_numbers(section: str, settings: Any) -> None:
    """Raises ValueError, by name, for a field whose default is a number and whose value is none, and for a
    list of rates with something else in it."""
    for each in fields(settings):
        value = getattr(settings, each.name)
        numbers = value if each.name == "fps" else [value] if type(each.default) in (int, float) else []
        if any(isinstance(number, bool) or not isinstance(number, int | float) for number in numbers):
            raise ValueError(f"{section}.{each.name} must be a number, got {value!r}.")


def find_videos(folder: str | Path, include: Sequence[str] = ()) -> list[Path]:
    """The video files below `folder` whose names match a pattern of `include`, sorted.

    Raises ValueError when the folder is missing or holds none.
    """
    root = Path(folder)
    if not root.is_dir():
        raise ValueError(f"data.videos must be a folder of videos, got {folder}.")
    found = sorted(
        Path(home) / name
        for home, _, names in os.walk(root, onerror=_refuse)
        for name in names
        if Path(name).suffix.lower() in VIDEO_SUFFIXES
        and (not include or any(fnmatch(name, pattern) for pattern in include))
    )
    if not found:
        wanted = f" that match {', '.join(include)}" if include else ""
        raise ValueError(f"{folder} holds no video files{wanted} ({', '.join(sorted(VIDEO_SUFFIXES))}).")
    return found


def _refuse(error: OSError) -> None:
    """A folder that may not be read is no empty folder."""
    raise error


class ClipDataset(Dataset):
    """`length` clips as {"pixel_values_videos": uint8 `t c y x`}, each drawn by its number and the seed.

    Raises ValueError for a folder without videos, or with a video of fewer than num_frames frames.
    """

    def __init__(self, settings: DataSettings, num_frames: int, image_size: int, length: int, seed: int = 0):
        self.settings = settings
        self.num_frames = num_frames
        self.image_size = image_size
        self.length = length
        self.seed = seed
        self.videos = find_videos(settings.videos, settings.include) if settings.videos else []
        self.durations = [duration_of(path, num_frames) for path in self.videos]

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        rng = np.random.default_rng([self.seed, index])
        is_rendered = not self.videos or rng.random() < self.settings.rendered_share
        frames = self._rendered(rng) if is_rendered else self._real(rng)
        return {"pixel_values_videos": as_clip(frames, rng)}

    def _rendered(self, rng: np.random.Generator) -> np.ndarray:
        seed, fps = int(rng.integers(2**31)), float(rng.choice(self.settings.fps))
        return render_clip(seed, num_frames=self.num_frames, size=self.image_size, fps=fps)

    def _real(self, rng: np.random.Generator) -> np.ndarray:
        number = int(rng.integers(len(self.videos)))
        frames = random_frames(
            self.videos[number], self.durations[number], self.num_frames, self.settings.fps, rng
        )
        return random_square(frames, self.image_size, self.settings.least_crop, rng)


def duration_of(video: Path | bytes, num_frames: int) -> float:
    """Seconds of a video. Raises ValueError for one of fewer than `num_frames` frames."""
    with VideoReader(video) as reader:
        name, fps, duration = reader.info.path, float(reader.info.fps), reader.info.duration
        if duration is None:  # some containers tell nothing before the last frame
            duration = (reader.info.num_frames or sum(1 for _ in reader)) / fps
    if round(duration * fps) < num_frames:
        raise VideoError(f"{name}: has about {round(duration * fps)} frames; a clip needs {num_frames}.")
    return duration


def random_frames(
    video: Path | bytes, duration: float, num_frames: int, fps: Sequence[float], rng: np.random.Generator
) -> np.ndarray:
    """`num_frames` frames in a row from a random time on, at one of the rates `fps`, uint8 `t y x c`.

    A video too short for the rate is read at a higher one rather than with repeated frames.
    """
    rate = max(float(rng.choice(fps)), num_frames / duration)
    start = rng.random() * max(0.0, duration - num_frames / rate)
    return read_video(video, fps=rate, start=start, num_frames=num_frames)[0]


def random_square(
    frames: np.ndarray, image_size: int, least_crop: float, rng: np.random.Generator
) -> np.ndarray:
    """A random square of frames `t y x c`, resized to `image_size` with antialiasing, uint8.

    least_crop: the smallest square's side as a share of the frame's short side.
    """
    height, width = frames.shape[1:3]
    side = round(min(height, width) * rng.uniform(least_crop, 1.0))
    top, left = int(rng.integers(height - side + 1)), int(rng.integers(width - side + 1))
    square = torch.from_numpy(frames[:, top : top + side, left : left + side]).permute(0, 3, 1, 2)
    size = (image_size, image_size)
    # On bytes this is 15 times as fast as on floats, and at most one level away.
    resized = F.interpolate(square, size=size, mode="bilinear", antialias=True, align_corners=False)
    return resized.permute(0, 2, 3, 1).numpy()


def as_clip(frames: np.ndarray, rng: np.random.Generator) -> torch.Tensor:
    """Frames uint8 `t y x c` as a clip `t c y x`, half of them mirrored."""
    clip = torch.from_numpy(frames).permute(0, 3, 1, 2)
    return (clip.flip(3) if rng.random() < 0.5 else clip).contiguous()
