"""Checks a folder of WebDataset shards: what is in it, what of it is broken, and how fast it decodes.

Axes: t frames, y x pixels, c colour.
"""

from __future__ import annotations

import json
import tarfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from vidtwin.modeling_vidtwin.picture import caption, png
from vidtwin.modeling_vidtwin.video_io import VideoError, VideoReader, atomic_path

from .clips import duration_of, find_videos, random_frames, random_square
from .shards import MEGABYTE, REPORT

CLIP_FRAMES, CLIP_SIZE, CLIP_FPS = 16, 224, 8.0  # what a clip of the paper's model takes (Sec. 4.1)
SAMPLE = 64
_COLUMNS, _TILE = 8, 128


@dataclass(frozen=True)
class Member:
    """A video in a tar: where its bytes lie, and its json member's fields."""

    tar: Path
    key: str
    offset: int
    size: int
    fields: dict[str, Any]

    @property
    def place(self) -> str:
        return f"{self.tar.name}: {self.key}.mp4"

    def read(self) -> bytes:
        with self.tar.open("rb") as file:
            file.seek(self.offset)
            return file.read(self.size)


@dataclass
class ShardCheck:
    """What a check found; `broken` has a line for everything that is, `decoded` the clips tried."""

    tars: list[Path]
    members: list[Member] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    decoded: int = 0

    def lines(self) -> list[str]:
        """The findings for people to read."""
        fields = [member.fields for member in self.members]
        hours = sum(each.get("seconds", 0) for each in fields) / 3600
        labels = Counter(each["label"] for each in fields if "label" in each)
        shapes = Counter(f"{each.get('width')}x{each.get('height')}" for each in fields)
        clips = Counter(member.tar for member in self.members)
        counts = [clips[tar] for tar in self.tars]
        sizes = [tar.stat().st_size / MEGABYTE for tar in self.tars]
        evenly = "a multiple of 8" if len(self.tars) % 8 == 0 else "not a multiple of 8"
        return [
            f"{len(self.tars)} tars ({evenly}), {len(fields)} clips, {hours:.3f} hours",
            f"clips in a tar: {min(counts)} to {max(counts)}; "
            f"MB of a tar: {min(sizes):.2f} to {max(sizes):.2f}, {sum(sizes):.2f} in all",
            f"labels: {_commonest(labels)}" if labels else "labels: none",
            f"pictures: {_commonest(shapes)}",
            f"decoded: {self.decoded} of {len(fields)} clips; broken: {len(self.broken)}",
        ]


def _commonest(counts: Counter[str]) -> str:
    named = ", ".join(f"{name} ({count})" for name, count in counts.most_common(8))
    return named + (f" and {len(counts) - 8} more" if len(counts) > 8 else "")


def read_shards(folder: Path) -> ShardCheck:
    """Reads every tar of a folder, or one tar, and decodes nothing.

    Raises ValueError for a folder without tars.
    """
    tars = [folder] if folder.is_file() else sorted(folder.glob("*.tar"))
    if not tars:
        raise ValueError(f"{folder} is no folder with tars.")
    check = ShardCheck(tars)
    for tar in tars:
        _read_tar(tar, check)
    _compare_with_report(folder, check)
    return check


def check_shards(folder: Path, decode_all: bool = False) -> ShardCheck:
    """Reads every tar of a folder, and decodes all clips or SAMPLE of them; errors as `read_shards`."""
    check = read_shards(folder)
    for member in check.members if decode_all else sample(check.members):
        check.decoded += 1
        reason = _unreadable(member)
        if reason:
            check.broken.append(f"{member.place}: {reason}")
    return check


def sample(members: Sequence[Member]) -> list[Member]:
    """At most SAMPLE clips, spread over all tars, in order."""
    chosen = np.linspace(0, len(members) - 1, min(SAMPLE, len(members))).round().astype(int)
    return [members[index] for index in chosen]


def _read_tar(tar: Path, check: ShardCheck) -> None:
    """Adds a tar's videos with their fields; what is damaged or alone goes to `check.broken`."""
    videos: dict[str, tuple[int, int]] = {}
    fields: dict[str, Any] = {}
    try:
        with tarfile.open(tar, "r:") as file:
            for found in file:
                head, slash, base = found.name.rpartition("/")
                key, _, kind = base.partition(".")
                key = f"{head.removeprefix('.')}{slash}{key}".lstrip("/")
                content = file.extractfile(found) if kind == "json" else None
                if content is not None:
                    fields[key] = json.loads(content.read())
                elif kind == "mp4":
                    videos[key] = found.offset_data, found.size
            if not _ends_there(tar, file.offset):
                check.broken.append(f"{tar.name}: is damaged after {len(videos)} videos")
    except (tarfile.TarError, ValueError, OSError) as error:
        check.broken.append(f"{tar.name}: {error}")
    if not videos:
        check.broken.append(f"{tar.name}: holds no video")
    alone = sorted(fields.keys() - videos.keys())
    check.broken += [f"{tar.name}: {key}.json has no video beside it" for key in alone]
    for key, (offset, size) in videos.items():
        if isinstance(fields.get(key), dict):
            check.members.append(Member(tar, key, offset, size, fields[key]))
        else:
            check.broken.append(f"{tar.name}: {key}.mp4 has no json object beside it")


def _ends_there(tar: Path, offset: int) -> bool:
    """Whether an empty block stands where tarfile stopped reading: it stops at a damaged one too."""
    with tar.open("rb") as file:
        file.seek(offset)
        return not file.read(tarfile.BLOCKSIZE).strip(b"\0")


def _compare_with_report(folder: Path, check: ShardCheck) -> None:
    """Finds tars that are missing or not as they were made, where a report was kept with them."""
    if not (folder / REPORT).is_file():
        return
    promised = json.loads((folder / REPORT).read_text(encoding="utf-8")).get("tars", {})
    counts = Counter(member.tar.name for member in check.members)
    for name, wanted in promised.items():
        if (folder / name).is_file() and counts[name] != wanted.get("clips", counts[name]):
            check.broken.append(f"{name}: {counts[name]} clips; {REPORT} says {wanted['clips']}")
        size = (folder / name).stat().st_size if (folder / name).is_file() else None
        if size != wanted["bytes"]:
            found = "is missing" if size is None else f"has {size} bytes"
            check.broken.append(f"{name}: {found}; {REPORT} says {wanted['bytes']} bytes")
    strangers = [tar.name for tar in check.tars if tar.name not in promised]
    check.broken += [f"{name}: {REPORT} does not know it" for name in strangers]


def _unreadable(member: Member) -> str:
    """Why a clip cannot be decoded whole, or is not what its json says; empty for a good one."""
    try:
        with VideoReader(member.read()) as reader:
            info, frames = reader.info, sum(1 for _ in reader)
    except VideoError as error:
        return str(error).partition(": ")[2]
    found = {"frames": frames, "height": info.height, "width": info.width}
    differ = [name for name in found if member.fields.get(name, found[name]) != found[name]]
    return ", ".join(f"{name} {found[name]}, but its json says {member.fields[name]}" for name in differ)


@dataclass(frozen=True)
class Speed:
    """How fast random clips decode: clips per second of one core, and videos that are too short or broken."""

    clips_per_second: float
    clips: int
    refused: int

    def line(self, what: str) -> str:
        """The speed for people to read."""
        rest = f"; {self.refused} too short or broken" if self.refused else ""
        return (
            f"{what}: {self.clips_per_second:.1f} clips/s on one core ({CLIP_FRAMES} frames at {CLIP_SIZE} "
            f"pixels and {CLIP_FPS:g} fps from random starts; {self.clips} measured{rest})"
        )


def speed_of_shards(members: Sequence[Member]) -> Speed:
    """Speed of training's way from a clip's bytes to a square of the model."""
    return _speed([member.read for member in sample(members)])


def speed_of_folder(folder: Path) -> Speed:
    """The same from the video files of a folder."""
    videos = find_videos(folder)
    chosen = np.linspace(0, len(videos) - 1, min(SAMPLE, len(videos))).round().astype(int)
    return _speed([lambda path=videos[index]: path for index in chosen])  # type: ignore[misc]


def _speed(videos: Sequence[Any]) -> Speed:
    rng = np.random.default_rng(0)
    seconds, clips = 0.0, 0
    for video in videos:
        started = time.process_time()  # counts all threads, and no other program
        try:
            data = video()
            frames = random_frames(data, duration_of(data, CLIP_FRAMES), CLIP_FRAMES, [CLIP_FPS], rng)
            random_square(frames, CLIP_SIZE, 0.6, rng)
        except VideoError:
            continue
        clips += 1
        seconds += time.process_time() - started
    return Speed(clips / seconds if seconds else 0.0, clips, len(videos) - clips)


def contact_sheet(members: Sequence[Member], file: Path) -> int:
    """Writes a PNG of up to SAMPLE clips' middle frames with labels or sources, and gives back how many."""
    tiles = [tile for member in sample(members) if (tile := _tile(member)) is not None]
    if not tiles:
        raise ValueError(f"{file}: no clip can be shown.")
    columns = min(_COLUMNS, len(tiles))
    blank = np.zeros_like(tiles[0])
    tiles_and_blanks = tiles + [blank] * (-len(tiles) % columns)
    rows = [
        np.concatenate(tiles_and_blanks[start : start + columns], axis=1)
        for start in range(0, len(tiles), columns)
    ]
    with atomic_path(file) as partial:
        partial.write_bytes(png(np.concatenate(rows)))
    return len(tiles)


def _tile(member: Member) -> np.ndarray | None:
    """A clip's middle frame, whole in a square over black, with a caption, `y x c`; None if broken."""
    try:
        with VideoReader(member.read(), start=member.fields.get("seconds", 0) / 2) as reader:
            frame = next(iter(reader))
    except VideoError:
        return None
    height, width = frame.shape[:2]
    scale = _TILE / max(height, width)
    size = max(1, round(height * scale)), max(1, round(width * scale))
    picture = torch.from_numpy(frame).permute(2, 0, 1)[None].float()
    small = F.interpolate(picture, size=size, mode="bilinear", antialias=True, align_corners=False)
    tile = np.zeros((_TILE, _TILE, 3), np.uint8)
    top, left = (_TILE - size[0]) // 2, (_TILE - size[1]) // 2
    tile[top : top + size[0], left : left + size[1]] = small[0].permute(1, 2, 0).round().byte().numpy()
    text = str(member.fields.get("label") or member.fields.get("source", member.key))
    return np.concatenate([tile, caption(text, _TILE)])
