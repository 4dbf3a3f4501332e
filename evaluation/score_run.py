"""Scores all videos of a source: in any number of processes, and going on where an earlier run stopped.

Every video's scores are a file of their own in OUT/videos, written whole; the report is made of these.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from accelerate import PartialState
from tqdm import tqdm

from vidtwin.modeling_vidtwin.video_io import VideoError, atomic_path

from .clip_scores import Scorer
from .sources import Video, videos_of

RUN = "run.json"


@dataclass
class Scores:
    """All that was measured: rows of clips, features `n 400` of both sides, refused videos, seconds."""

    rows: list[dict[str, Any]]
    predictions: np.ndarray
    references: np.ndarray
    refused: list[dict[str, str]]
    seconds: float


def begin(out: Path, identity: dict[str, Any]) -> None:
    """Makes the folder, or checks that an earlier run there was of the same model, data and protocol.

    Raises ValueError for another one, and for a folder that holds something else.
    """
    file = out / RUN
    if file.is_file():
        earlier = json.loads(file.read_text(encoding="utf-8"))
        differ = [name for name in identity if earlier.get(name) != identity[name]]
        if differ:
            name = differ[0]
            raise ValueError(
                f"{out} holds an evaluation with {name} {earlier.get(name)!r}, not {identity[name]!r}; "
                "choose another --out."
            )
    elif out.is_dir() and any(".partial-" not in each.name for each in out.iterdir()):
        raise ValueError(f"{out} must be new, empty, or an evaluation begun before; choose another --out.")
    out.mkdir(parents=True, exist_ok=True)
    if not file.is_file():
        with atomic_path(file) as partial:
            partial.write_text(json.dumps(identity, indent=1), encoding="utf-8")
    (out / "videos").mkdir(exist_ok=True)


def score_all(
    scorer: Scorer, data: str, out: Path, limit: int | None, say: Callable[[str], None], quiet: bool = False
) -> Scores | None:
    """Scores what is not scored yet, and gives back all in the first process, None in the others.

    Raises ValueError when no video can be read.
    """
    state = PartialState()
    names, earlier = [], 0
    videos = tqdm(videos_of(data), unit="video", disable=quiet or not state.is_main_process)
    for number, video in enumerate(videos):
        if number == limit:
            break
        names.append(video.name)
        if number % state.num_processes == state.process_index:
            if _is_scored(video, _place(out, video.name)):
                earlier += 1
            else:
                _score(scorer, video, out)
    state.wait_for_everyone()
    if not state.is_main_process:
        return None
    if earlier:
        say(f"{earlier} videos were scored before")
    return _gather(out, names)


def _place(out: Path, name: str) -> Path:
    return out / "videos" / f"{hashlib.sha256(name.encode()).hexdigest()[:20]}.json"


def _is_scored(video: Video, place: Path) -> bool:
    """Whether its scores are there, and of the video as it is now."""
    return place.is_file() and json.loads(place.read_text(encoding="utf-8"))["of"] == _fingerprint(video)


def _fingerprint(video: Video) -> list[int]:
    """Size and time of the last change of a file, size of bytes; nothing for a file that is gone."""
    found = video.read()
    if isinstance(found, bytes):
        return [len(found)]
    return [found.stat().st_size, found.stat().st_mtime_ns] if found.is_file() else []


def _score(scorer: Scorer, video: Video, out: Path) -> None:
    place = _place(out, video.name)
    found: dict[str, Any] = {"video": video.name, "of": _fingerprint(video)}
    place.with_suffix(".npy").unlink(missing_ok=True)
    try:
        rows, features, seconds = scorer.score(video)
    except VideoError as error:
        found["refused"] = str(error).rpartition(": ")[2]
    else:
        found |= {"rows": rows, "seconds": seconds}
        if len(features):
            with atomic_path(place.with_suffix(".npy")) as partial, partial.open("wb") as file:
                np.save(file, features)
    with atomic_path(place) as partial:  # last: what has one is whole
        partial.write_text(json.dumps(found), encoding="utf-8")


def _gather(out: Path, names: list[str]) -> Scores:
    found = [json.loads(_place(out, name).read_text(encoding="utf-8")) for name in names]
    scored = [each for each in found if "rows" in each]
    refused = [{"video": each["video"], "reason": each["refused"]} for each in found if "refused" in each]
    if not scored:
        first = f", the first because: {refused[0]['reason']}" if refused else ""
        raise ValueError(f"none of {len(found)} videos can be read{first}")
    files = [_place(out, each["video"]).with_suffix(".npy") for each in scored]
    features = [np.load(file) for file in files if file.is_file()]
    pairs = np.concatenate(features) if features else np.zeros((0, 2, 0))
    return Scores(
        rows=[row for each in scored for row in each["rows"]],
        predictions=pairs[:, 0],
        references=pairs[:, 1],
        refused=refused,
        seconds=sum(each["seconds"] for each in scored),
    )
