"""The paper's human study (Sec. 4.2): a page of blinded pairs to rate, and mean opinion scores."""

from __future__ import annotations

import base64
import html
import json
import math
import secrets
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import av
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
    """The mean opinion score of a system in one question, half of its 95 % interval, and of how many."""

    system: str
    question: str
    mean: float
    half_width: float
    raters: int
    ratings: int


def write_page(originals: Path, systems: Mapping[str, Path], page: Path, title: str) -> int:
    """Writes the page with every video inside, and PAGE.key.json that tells whose each copy is.

    originals: a folder of mp4 videos; systems: by name, a folder with a copy of each under the same file
    name. Gives back the number of pairs. Raises ValueError for folders without videos or with missing copies.
    """
    if key_of(page).exists():
        raise ValueError(f"{key_of(page)} exists: answers to that study would be worth nothing without it.")
    if not originals.is_dir():
        raise ValueError(f"{originals} is no folder.")
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
                    f"{folder / name} must have the original's height, width, rate and number of frames, "
                    f"{_told(originals / name)}, got {_told(folder / name)}: raters would tell them apart. "
                    "`vidtwin reconstruct --part original` writes originals as a model sees them."
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


def _told(path: Path) -> str:
    return ", ".join(f"{each}" for each in _shown(path))


def _embedded(path: Path) -> str:
    """The pictures as they are, but nothing else of the file: titles and comments would tell whose it is."""
    file = BytesIO()
    with av.open(path) as source, av.open(file, "w", format="mp4") as copy:
        stream = copy.add_stream_from_template(source.streams.video[0])
        stream.metadata.clear()
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                copy.mux(packet)
    return f"data:video/mp4;base64,{base64.b64encode(file.getvalue()).decode()}"


def opinions(key: Path, files: Sequence[Path]) -> list[Opinion]:
    """Mean opinion scores by system and question, with the 95 % interval of Student's t over raters' means.

    Raises ValueError for a key that is none, and for files of another study, of the same rater twice, with
    answers missing or not 1 to 5.
    """
    truth = _json(key)
    if not isinstance(truth, dict) or not {"study", "items"} <= set(truth):
        raise ValueError(f"{key} is not the key of a page: `vidtwin rate page` writes PAGE.key.json.")
    means: dict[tuple[str, str], list[float]] = defaultdict(list)
    raters: dict[str, Path] = {}
    for file in files:
        found = _answers(file, truth)
        if found["rater"] in raters:
            raise ValueError(f"{file} is of the same rater as {raters[found['rater']]}.")
        raters[found["rater"]] = file
        own: dict[tuple[str, str], list[int]] = defaultdict(list)
        for code, answer in found["answers"].items():
            for question in QUESTIONS:
                own[truth["items"][code]["system"], question].append(answer[question])
        for each, ratings in own.items():
            means[each].append(fmean(ratings))
    pairs = Counter(item["system"] for item in truth["items"].values())
    return [
        _opinion(system, name, means[system, name], count)
        for system, count in pairs.items()
        for name in QUESTIONS
    ]


def _answers(file: Path, truth: dict[str, Any]) -> dict[str, Any]:
    found = _json(file)
    if not isinstance(found, dict) or found.get("format") != FORMAT or found.get("study") != truth["study"]:
        raise ValueError(f"{file} holds no answers to this study.")
    answers = found.get("answers")
    if not isinstance(answers, dict) or not isinstance(found.get("rater"), str):
        raise ValueError(f"{file} must name its rater and hold answers, as the page saves them.")
    if set(answers) != set(truth["items"]):
        raise ValueError(f"{file} must rate all {len(truth['items'])} pairs, got {len(answers)}.")
    for code, answer in answers.items():
        whole = isinstance(answer, dict) and set(answer) == set(QUESTIONS)
        if not whole or not all(type(value) is int and 1 <= value <= 5 for value in answer.values()):
            raise ValueError(f"{file} must rate {code} from 1 to 5 in {', '.join(QUESTIONS)}, got {answer}.")
    return found


def _json(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{file} is no JSON ({error}).") from error


def _opinion(system: str, question: str, means: list[float], pairs: int) -> Opinion:
    raters = len(means)
    half = math.nan
    if raters > 1:
        half = float(student.ppf(0.975, raters - 1)) * stdev(means) / math.sqrt(raters)
    mean = fmean(means) if means else math.nan
    return Opinion(system, question, mean, half, raters, raters * pairs)


def table(found: Sequence[Opinion]) -> str:
    """The scores as Markdown, a row for each system."""
    systems = dict.fromkeys(each.system for each in found)
    lines = [["system", *QUESTIONS, "raters", "ratings"], ["---"] * (len(QUESTIONS) + 3)]
    for system in systems:
        own = [each for each in found if each.system == system]
        scores = (
            f"{each.mean:.2f}" + (f" ± {each.half_width:.2f}" if each.raters > 1 else "") for each in own
        )
        lines.append([system, *scores, str(own[0].raters), str(own[0].ratings)])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
