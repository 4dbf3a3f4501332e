"""The videos of an evaluation: of a folder, a csv, shards, or a data set of the Hub."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from vidtwin.training.clips import VIDEO_SUFFIXES
from vidtwin.training.shard_check import read_shards
from vidtwin.training.shard_source import REMOTE, open_shards, shard_files
from vidtwin.training.shards import find_sources


@dataclass(frozen=True)
class Video:
    """A video by its name, unique in its source; `read` gives its path or bytes."""

    name: str
    read: Callable[[], Path | bytes]


def videos_of(data: str) -> Iterator[Video]:
    """The videos in the source's own order: a folder of videos, one video, a csv with a column `path`, a
    folder of tars or one tar, and "hf://datasets/NAME/PATTERN" or http(s) addresses of tars.

    Raises ValueError for a source that is missing or holds no video.
    """
    path = Path(data)
    if not data:
        raise ValueError("DATA must be a folder, a video, a csv, tars or an address, got an empty name.")
    if data.startswith(REMOTE):
        yield from _streamed(data)
    elif path.suffix == ".tar" or (path.is_dir() and any(path.glob("*.tar"))):
        yield from _in_shards(path)
    elif path.is_file() and path.suffix.lower() in VIDEO_SUFFIXES:
        yield Video(path.name, partial(_as_it_is, path))
    else:
        for source in find_sources(path, "none")[0]:
            yield Video(source.name, partial(_as_it_is, source.path))


def _in_shards(path: Path) -> Iterator[Video]:
    found = read_shards(path)
    if found.broken:
        raise ValueError(f"{found.broken[0]} (`vidtwin shards check {path}` tells all).")
    for member in found.members:
        yield Video(f"{member.tar.name}/{member.key}", member.read)


def _streamed(data: str) -> Iterator[Video]:
    for number, example in enumerate(open_shards(shard_files(data), "mp4", 0, 0, 1)):
        video = example["mp4"]
        content = video["bytes"] if isinstance(video, dict) else video
        yield Video(f"{number:07}-{example.get('__key__', '')}", partial(_as_it_is, bytes(content)))


def _as_it_is(video: Path | bytes) -> Path | bytes:
    return video
