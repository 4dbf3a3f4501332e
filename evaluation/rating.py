"""The paper's human study (Sec. 4.2): a page of blinded pairs to rate, and mean opinion scores."""

from __future__ import annotations

import base64
import html
import json
import math
import secrets
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from scipy.stats import t as student

from vidtwin.modeling_vidtwin.video_io import VideoReader, atomic_path

FORMAT = "vidtwin-ratings-1"
TEMPLATE = Path(__file__).parent / "templates" / "rating.html"
QUESTIONS = {
    "semantic": "Semantic preservation: does the copy show the same things doing the same?",
    "temporal": "Temporal consistency: is its motion smooth, without flicker or jumps?",
    "detail": "Detail retention: are fine structures and textures kept?",
}


@dataclass(frozen=True)
class Opinion:
    """The mean opinion score of a system in one question, half of its 95 % interval, and how many ratings."""

    system: str
    question: str
    mean: float
    half_width: float
    ratings: int


def write_page(originals: Path, systems: Mapping[str, Path], page: Path, title: str) -> int:
    """Writes the page with every video inside, and PAGE.key.json that tells whose each copy is.

    originals: a folder of mp4 videos; systems: by name, a folder with a copy of each under the same file
    name. Gives back the number of pairs. Raises ValueError for folders without videos or with missing copies.
    """
    if key_of(page).exists():
        raise ValueError(f"{key_of(page)} exists: answers to that study would be worth nothing without it.")
    names = sorted(path.name for path in originals.glob("*.mp4"))
    if not names or not systems:
        raise ValueError(f"{originals} must hold mp4 videos, and one system must be named, got {len(names)}.")
    key: dict[str, dict[str, str]] = {}
    items: list[dict[str, Any]] = []
    for system, folder in systems.items():
        for name in names:
            if not (folder / name).is_file():
                raise ValueError(f"{folder} must hold a copy of every original, got none of {name}.")
            if _shown(folder / name) != _shown(originals / name):
                raise ValueError(
                    f"{folder / name} must have the original's size, rate and number of frames: else raters "
                    "compare crops and lengths, and tell the systems by them."
                )
            code = secrets.token_hex(6)
            key[code] = {"system": system, "video": name}
            items.append({"id": code, "original": names.index(name), "copy": _embedded(folder / name)})
    study = {
        "id": secrets.token_hex(6),
        "questions": [{"name": name, "text": text} for name, text in QUESTIONS.items()],
        "originals": [_embedded(originals / name) for name in names],
        "items": sorted(items, key=lambda item: item["id"]),
    }
    content = TEMPLATE.read_text(encoding="utf-8").replace("__TITLE__", html.escape(title))
    content = content.replace("__STUDY__", json.dumps(study).replace("<", "\\u003c"))
    for path, text in (
        (key_of(page), json.dumps({"study": study["id"], "items": key}, indent=1)),
        (page, content),
    ):
        with atomic_path(path) as partial:
            partial.write_text(text, encoding="utf-8")
    return len(items)


def key_of(page: Path) -> Path:
    """The file that tells whose each copy of a page is; not for the raters."""
    return page.with_name(f"{page.name}.key.json")


def _shown(path: Path) -> tuple[object, ...]:
    """Size, rate and number of frames; a VideoError for what nobody can play."""
    with VideoReader(path) as reader:
        info = reader.info
    return info.height, info.width, info.fps, info.num_frames


def _embedded(path: Path) -> str:
    return f"data:video/mp4;base64,{base64.b64encode(path.read_bytes()).decode()}"


def opinions(key: Path, files: Sequence[Path]) -> list[Opinion]:
    """Mean opinion scores by system and question, with the 95 % interval of Student's t over ratings.

    Raises ValueError for files of another study, of the same rater twice, with answers missing or not 1 to 5.
    """
    truth = json.loads(key.read_text(encoding="utf-8"))
    ratings: dict[tuple[str, str], list[int]] = defaultdict(list)
    raters: dict[str, Path] = {}
    for file in files:
        found = _answers(file, truth)
        if found["rater"] in raters:
            raise ValueError(f"{file} is of the same rater as {raters[found['rater']]}.")
        raters[found["rater"]] = file
        for code, answer in found["answers"].items():
            for question in QUESTIONS:
                ratings[truth["items"][code]["system"], question].append(answer[question])
    systems = dict.fromkeys(item["system"] for item in truth["items"].values())
    return [_opinion(system, name, ratings[system, name]) for system in systems for name in QUESTIONS]


def _answers(file: Path, truth: dict[str, Any]) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{file} is no JSON of answers ({error}).") from error
    if not isinstance(found, dict) or found.get("format") != FORMAT or found.get("study") != truth["study"]:
        raise ValueError(f"{file} holds no answers to this study.")
    if set(found["answers"]) != set(truth["items"]):
        raise ValueError(f"{file} must rate all {len(truth['items'])} pairs, got {len(found['answers'])}.")
    for code, answer in found["answers"].items():
        if set(answer) != set(QUESTIONS) or not set(answer.values()) <= {1, 2, 3, 4, 5}:
            raise ValueError(f"{file} must rate {code} from 1 to 5 in {', '.join(QUESTIONS)}, got {answer}.")
    return found


def _opinion(system: str, question: str, values: list[int]) -> Opinion:
    if len(values) < 2:
        return Opinion(system, question, fmean(values) if values else math.nan, math.nan, len(values))
    half = student.ppf(0.975, len(values) - 1) * stdev(values) / math.sqrt(len(values))
    return Opinion(system, question, fmean(values), float(half), len(values))


def table(found: Sequence[Opinion]) -> str:
    """The scores as Markdown, a row for each system."""
    systems = dict.fromkeys(each.system for each in found)
    lines = [["system", *QUESTIONS, "ratings"], ["---"] * (len(QUESTIONS) + 2)]
    for system in systems:
        own = [each for each in found if each.system == system]
        lines.append(
            [system, *(f"{each.mean:.2f} ± {each.half_width:.2f}" for each in own), str(own[0].ratings)]
        )
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
