"""Makes WebDataset shards of small, quickly decoded clips from videos of any size.

Every video is first encoded into a staging folder beside the target, where a later run finds it again. When
all are there, the clips are packed into tars and the whole target folder appears at once.
Axes: y x pixels, c colour.
"""

from __future__ import annotations

import csv
import hashlib
import json
import math
import os
import re
import shutil
import tarfile
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any, Literal

import numpy as np
from filelock import FileLock, Timeout
from tqdm import tqdm

from vidtwin.modeling_vidtwin.video_io import atomic_path

from .clips import VIDEO_SUFFIXES, find_videos
from .shard_encoder import EncodingForm, encode_all

REPORT = "report.json"
MEGABYTE = 10**6
_BLOCK = tarfile.BLOCKSIZE


@dataclass(frozen=True)
class ShardSettings:
    """What decides how shards come out.

    label_from: "folder" takes the first folder below the source, or the csv's column `label`; "none" keeps no
    labels. short_side: pixels, for larger videos. gop: frames from one key frame to the next at most.
    shard_mb: the largest tar in megabytes (10^6 bytes). max_seconds: longer videos are cut into pieces.
    """

    label_from: Literal["folder", "none"] = "folder"
    short_side: int = 256
    gop: int = 12
    shard_mb: float = 100.0
    max_seconds: float = 60.0

    def __post_init__(self) -> None:
        if self.label_from not in ("folder", "none"):
            raise ValueError(f"--label-from must be folder or none, got {self.label_from}.")
        for name, least in (("short_side", 16), ("gop", 1), ("shard_mb", 0.01), ("max_seconds", 0.1)):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= least):
                raise ValueError(f"{_option(name)} must be at least {least}, got {value}.")


@dataclass(frozen=True)
class Source:
    """A video to be made into clips; `name` is its path below the source, with slashes."""

    path: Path
    name: str
    label: str | None = None
    raw: bytes = b""  # the name, where it is no UTF-8

    @property
    def key(self) -> str:
        """A name for files and WebDataset keys: unique, without dots."""
        readable = re.sub(r"[^A-Za-z0-9]+", "-", self.path.stem).strip("-")[:40]
        return f"{readable}-{hashlib.sha256(self.raw or self.name.encode()).hexdigest()[:12]}".lstrip("-")

    def size_and_time(self) -> list[int]:
        """Bytes and time of the last change; [-1, -1] for a missing file."""
        try:
            found = self.path.stat()
        except OSError:
            return [-1, -1]
        return [found.st_size, found.st_mtime_ns]


@dataclass(frozen=True)
class Clip:
    """An encoded clip: its key, its file, and what its json member says."""

    key: str
    file: Path
    fields: dict[str, Any]

    @property
    def json(self) -> bytes:
        return json.dumps(self.fields).encode()

    @cached_property
    def bytes_in_tar(self) -> int:
        """Bytes of both members with their headers, in whole blocks."""
        sizes = (self.file.stat().st_size, len(self.json))
        return sum(_BLOCK + math.ceil(size / _BLOCK) * _BLOCK for size in sizes)


def find_sources(source: Path, label_from: str) -> tuple[list[Source], dict[str, int]]:
    """The videos of a folder or csv with their labels, and how many files of other suffixes were left out.

    Raises ValueError for a source without videos, a csv without a column `path`, a video listed twice, and
    labels that only some videos have.
    """
    if source.is_dir():
        sources = [_below(source, path) for path in find_videos(source)]
        others = (path.suffix.lower() for path in source.rglob("*") if path.is_file())
        ignored = dict(Counter(suffix for suffix in others if suffix not in VIDEO_SUFFIXES))
    elif source.is_file() and source.suffix.lower() == ".csv":
        sources, ignored = _listed(source), {}
    else:
        raise ValueError(f"videos must come from a folder or a .csv file, got {source}.")
    if label_from == "none":
        return [replace(each, label=None) for each in sources], ignored
    unlabelled = [each.name for each in sources if not each.label]
    if unlabelled and len(unlabelled) < len(sources):
        raise ValueError(
            f"{len(unlabelled)} of {len(sources)} videos have no label, the first is {unlabelled[0]}. "
            "Give it one (a folder of its own below SRC, or the csv's column), or use --label-from none."
        )
    return sources, ignored


def _below(root: Path, path: Path) -> Source:
    # A name that is not UTF-8 could be neither printed nor read from a tar by others.
    raw = os.fsencode(path.relative_to(root).as_posix())
    name = raw.decode(errors="replace")
    label, below, _ = name.partition("/")
    return Source(path, name, label if below else None, raw if "\ufffd" in name else b"")


def _listed(file: Path) -> list[Source]:
    try:
        text = file.read_text(encoding="utf-8-sig")
        lines = csv.reader(StringIO(text, newline=""))
        heads, *rows = [[cell.strip() for cell in row] for row in lines if row] or [[]]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{file} is no csv in UTF-8 ({error}).") from error
    if "path" not in heads:
        raise ValueError(f"{file} must have a column 'path', got {', '.join(heads) or 'no column'}.")
    found = [dict(zip(heads, row, strict=False)) for row in rows]
    if not found:
        raise ValueError(f"{file} lists no video.")
    sources = [Source(file.parent / row["path"], row["path"], row.get("label") or None) for row in found]
    places = Counter(os.path.realpath(source.path) for source in sources)
    for source in sources:
        if places[os.path.realpath(source.path)] > 1:
            raise ValueError(f"{file} lists {source.name!r} twice; a video can be listed once.")
    return sources


def make_shards(
    source: Path, target: Path, settings: ShardSettings, workers: int, say: Callable[[str], None]
) -> dict[str, Any]:
    """Makes the shards of `source` in `target` and gives back what its report.json says.

    A run that was stopped is gone on with, a finished one is left alone; `say` gets remarks about that.
    Raises ValueError for other settings or other videos than those that `target` was begun with, and when no
    video can be used.
    """
    source, target = Path(os.path.abspath(source)), Path(os.path.abspath(target))
    if source == target or source in target.parents:
        raise ValueError(f"DST {target} lies in SRC {source}; choose a place outside of it.")
    sources, ignored = find_sources(source, settings.label_from)
    about = {
        "settings": asdict(settings),
        "videos_sha256": _digest(sources),
        "source": source.name,
        "ignored": ignored,
    }
    staging = target.with_name(f"{target.name}.making")
    finished = _finished(target, about)
    if finished is not None:
        say(f"{target} is finished; nothing to do.")
        shutil.rmtree(staging, ignore_errors=True)
        return finished
    staging.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(staging / "lock", timeout=0):
            _begin(staging, {"settings": asdict(settings), "source": str(source)})
            report = _make(sources, about, (staging, target), workers, say)
    except Timeout:
        raise ValueError(f"another run is making {target} just now.") from None
    shutil.rmtree(staging, ignore_errors=True)
    return report


def _make(
    sources: list[Source],
    about: dict[str, Any],
    folders: tuple[Path, Path],
    workers: int,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Encodes what is not in the staging folder yet, and packs all into the target; gives back the report."""
    staging, target = folders
    missing = [each for each in sources if _earlier(each, staging) is None]
    if len(missing) < len(sources):
        say(f"goes on: {len(sources) - len(missing)} of {len(sources)} videos are encoded already")
    refused = _encode(missing, staging, ShardSettings(**about["settings"]), workers)
    clips = [clip for each in sources for clip in _clips(each, staging)]
    report = {**about, **_summary(sources, clips, refused)}
    if not clips:
        _write_json(staging / REPORT, report)
        raise ValueError(f"none of {len(sources)} videos can be used; {staging / REPORT} says why.")
    return _publish(clips, report, staging, target)


def _digest(sources: list[Source]) -> str:
    lines = sorted(f"{each.name}\0{each.label or ''}\0{each.size_and_time()[0]}\n" for each in sources)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _finished(target: Path, identity: dict[str, Any]) -> dict[str, Any] | None:
    """The report of a finished target; None where there is nothing yet."""
    if target.exists() and not target.is_dir():
        raise ValueError(f"DST must be a folder, but {target} is a file.")
    if not target.is_dir() or not any(target.iterdir()):
        return None
    if not (target / REPORT).is_file():
        raise ValueError(f"DST {target} is not empty and holds no {REPORT} of shards; choose another.")
    report = json.loads((target / REPORT).read_text(encoding="utf-8"))
    _check_settings(target, report["settings"], identity["settings"])
    if report["videos_sha256"] != identity["videos_sha256"]:
        raise ValueError(
            f"{target} was made of {report['videos']} videos that are not those of SRC now (names, sizes or "
            "labels differ); choose another DST."
        )
    return report


def _begin(staging: Path, wanted: dict[str, Any]) -> None:
    """Makes the staging folder, or checks that an earlier run began it in the same way."""
    file = staging / "settings.json"
    if file.is_file():
        earlier = json.loads(file.read_text(encoding="utf-8"))
        _check_settings(staging, earlier["settings"], wanted["settings"])
        if earlier["source"] != wanted["source"]:
            raise ValueError(f"{staging} was begun from {earlier['source']}; delete it or take another DST.")
    (staging / "clips").mkdir(parents=True, exist_ok=True)
    _write_json(file, wanted)


def _check_settings(folder: Path, earlier: dict[str, Any], wanted: dict[str, Any]) -> None:
    differ = [name for name in wanted if earlier.get(name) != wanted[name]]
    if differ:
        were = ", ".join(f"{_option(name)} {earlier.get(name)} (not {wanted[name]})" for name in differ)
        raise ValueError(f"{folder} was begun with {were}; use that, delete it, or choose another DST.")


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")


def _write_json(path: Path, content: Any) -> None:
    with atomic_path(path) as partial:
        partial.write_text(json.dumps(content, indent=1), encoding="utf-8")


def _earlier(source: Source, staging: Path) -> list[dict[str, Any]] | None:
    """The pieces of a video that was encoded before and has not changed since, else None."""
    try:
        record = json.loads((staging / "clips" / f"{source.key}.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return record["pieces"] if record["source"] == source.size_and_time() else None


def _encode(
    sources: list[Source], staging: Path, settings: ShardSettings, workers: int
) -> list[dict[str, str]]:
    """Encodes videos into the staging folder; the refused ones with reasons."""
    by_key = {each.key: each for each in sources}
    form = EncodingForm(settings.short_side, settings.gop, settings.max_seconds)
    jobs = [(each.key, each.path, staging / "clips", form) for each in sources]
    refused = []
    with closing(encode_all(jobs, workers)) as results:
        for key, pieces, reason in tqdm(results, total=len(jobs), unit="video", disable=None):
            if reason:
                refused.append({"file": by_key[key].name, "reason": reason})
            else:  # written last: what has a record is whole
                record = {"source": by_key[key].size_and_time(), "pieces": pieces}
                _write_json(staging / "clips" / f"{key}.json", record)
    return sorted(refused, key=lambda one: one["file"])


def _clips(source: Source, staging: Path) -> list[Clip]:
    shared = (
        {"source": source.name} if source.label is None else {"label": source.label, "source": source.name}
    )
    clips = []
    for piece in _earlier(source, staging) or []:
        key = piece.pop("key")
        clips.append(Clip(key, staging / "clips" / f"{key}.mp4", {**shared, **piece}))
    return clips


def _summary(sources: list[Source], clips: list[Clip], refused: list[dict[str, str]]) -> dict[str, Any]:
    return {
        "videos": len(sources),
        "made": len({clip.fields["source"] for clip in clips}),
        "clips": len(clips),
        "seconds": round(sum(clip.fields["seconds"] for clip in clips), 3),
        "labels": dict(Counter(clip.fields["label"] for clip in clips if "label" in clip.fields)),
        "refused": refused,
    }


def _publish(clips: list[Clip], report: dict[str, Any], staging: Path, target: Path) -> dict[str, Any]:
    """Packs the clips, completes the report, and lets the target appear whole."""
    packed = staging / "shards"
    shutil.rmtree(packed, ignore_errors=True)
    packed.mkdir()
    report["tars"] = pack(clips, packed, int(report["settings"]["shard_mb"] * MEGABYTE))
    report["megabytes"] = round(sum(tar["bytes"] for tar in report["tars"].values()) / MEGABYTE, 3)
    _write_json(packed / REPORT, report)
    if target.is_dir():
        target.rmdir()  # empty, or _finished had refused it
    os.replace(packed, target)
    return report


def pack(clips: list[Clip], folder: Path, shard_bytes: int) -> dict[str, dict[str, int]]:
    """Writes clips to tars of at most `shard_bytes`; gives back {file name: {"clips": ..., "bytes": ...}}.

    From 8 clips on the number of tars is a multiple of 8. Numbers of clips differ by one at most, bytes
    little; what lies where is drawn with a fixed seed. Only a clip that is larger makes a tar larger.
    """
    count = _least_tars(clips, shard_bytes)
    while max(map(_bytes_of, hands := _dealt(clips, count))) > shard_bytes and count < _most_tars(clips):
        count = min(count + (8 if len(clips) >= 8 else 1), _most_tars(clips))
    written = {}
    for number, hand in enumerate(hands):
        file = folder / f"train-{number:05}.tar"
        _write_tar(file, hand)
        written[file.name] = {"clips": len(hand), "bytes": file.stat().st_size}
    return written


def _most_tars(clips: list[Clip]) -> int:
    return len(clips) // 8 * 8 or len(clips)


def _least_tars(clips: list[Clip], shard_bytes: int) -> int:
    count = math.ceil(_bytes_of(clips) / shard_bytes)
    return min(math.ceil(count / 8) * 8 if len(clips) >= 8 else count, _most_tars(clips))


def _bytes_of(clips: list[Clip]) -> int:
    content = sum(clip.bytes_in_tar for clip in clips) + 2 * _BLOCK  # two empty blocks are a tar's end
    return math.ceil(content / tarfile.RECORDSIZE) * tarfile.RECORDSIZE


def _dealt(clips: list[Clip], count: int) -> list[list[Clip]]:
    """Clips dealt like cards, large ones first and one to each tar in turn, in a random order."""
    rng = np.random.default_rng(0)
    shuffled = [clips[index] for index in rng.permutation(len(clips))]
    by_size = sorted(shuffled, key=lambda clip: -clip.bytes_in_tar)
    hands: list[list[Clip]] = [[] for _ in range(count)]
    for start in range(0, len(by_size), count):
        smallest_first = sorted(hands, key=_bytes_of)
        for hand, clip in zip(smallest_first, by_size[start : start + count], strict=False):
            hand.append(clip)
    return [[hand[index] for index in rng.permutation(len(hand))] for hand in hands]


def _write_tar(file: Path, clips: list[Clip]) -> None:
    with tarfile.open(file, "w", format=tarfile.USTAR_FORMAT) as tar:
        for clip in clips:
            with clip.file.open("rb") as video:
                tar.addfile(_member(f"{clip.key}.mp4", clip.file.stat().st_size), video)
            tar.addfile(_member(f"{clip.key}.json", len(clip.json)), BytesIO(clip.json))


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size = size
    return member
