"""What a push of a model, of shards or of the metrics would send: every file, before anything is sent."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal
from urllib.parse import urlsplit, urlunsplit

import torch
import yaml
from huggingface_hub import ModelCard
from huggingface_hub.utils import HFValidationError, validate_repo_id

from vidtwin.metrics.hub_names import NAMES
from vidtwin.modeling_vidtwin.model_folder import ModelFolder, find_model
from vidtwin.modeling_vidtwin.modeling_vidtwin import VidTwinEncoderModel, VidTwinModel

from .cards import dataset_card, for_repository, model_card, story, with_results
from .results import results_table
from .spaces import metric_space

WEIGHTS = re.compile(r"model(-\d{5}-of-\d{5})?\.safetensors|model\.safetensors\.index\.json")
_TARS = re.compile(r"train-\d{5}\.tar")
_EVALUATION = re.compile(r"evaluation/(summary\.json|table\.md|scores\.csv)")
_REPORT = "report.json"


@dataclass(frozen=True)
class Upload:
    """The files of one repository by their paths there; what else lies in the folder and stays here."""

    repo: str
    kind: Literal["model", "dataset", "space"]
    files: dict[str, Path | bytes]
    left_out: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """For people: every file with its size."""
        sizes = {
            name: len(what) if isinstance(what, bytes) else what.stat().st_size
            for name, what in self.files.items()
        }
        lines = [f"{self.kind} {self.repo}: {len(sizes)} files, {sum(sizes.values()):,} bytes"]
        lines += [f"  {size:>15,}  {name}" for name, size in sorted(sizes.items())]
        return lines + [f"  {'stays here':>15}  {name}" for name in self.left_out]

    def replaced(self, there: list[str]) -> list[str]:
        """Of the files there those that an earlier push sent and this one must not leave beside its own:
        other weights, which would be loaded instead, and figures that were measured on them; other shards."""
        old = {"model": (WEIGHTS, _EVALUATION), "dataset": (_TARS,), "space": ()}[self.kind]
        return [
            name for name in there if name not in self.files and any(each.fullmatch(name) for each in old)
        ]


@contextmanager
def uploads(
    source: str, repo: str, card: Path | None = None, evaluation: Path | None = None, metrics: bool = False
) -> Iterator[list[Upload]]:
    """What a push of `source`, a folder of a model or of shards, or a bundled model's name, would send.

    card: its README.md instead of the folder's own. evaluation: a folder of `vidtwin evaluate` of this very
    model. metrics: the Spaces of all metrics too. Raises ValueError for a folder that is not whole, and for
    another model's evaluation.
    """
    _check_id(repo)
    folder = Path(source)
    text = _read(card) if card else None
    with TemporaryDirectory() as staging:
        if any(folder.glob("*.tar")) and not (folder / "config.json").is_file():
            if evaluation:
                raise ValueError("an evaluation belongs to a model, not to shards.")
            found = _shards(folder, repo, text)
        else:
            model = find_model(str(folder.resolve()) if folder.is_dir() else source)
            if model.revision:
                raise ValueError(f"a folder is pushed, got {source!r} of the Hub: download it first.")
            found = _model(model, repo, text, evaluation, Path(staging))
        owner = repo.split("/")[0]
        spaces = [Upload(f"{owner}/{name}", "space", metric_space(name, f"{owner}/{name}")) for name in NAMES]
        yield [found, *(spaces if metrics else [])]


def _check_id(repo: str) -> None:
    try:
        validate_repo_id(repo)
    except HFValidationError as error:
        raise ValueError(f"a repository is named like org/name, got {repo!r}: {error}") from error
    if repo.count("/") != 1:
        raise ValueError(f"a repository is named like org/name, got {repo!r}.")


def _read(card: Path) -> str:
    """A card's text. Raises ValueError for a missing file, another encoding and metadata that are no YAML."""
    if not card.is_file():
        raise ValueError(f"{card} is no file.")
    try:
        text = card.read_text(encoding="utf-8-sig")
        ModelCard(text)
    except (UnicodeDecodeError, yaml.YAMLError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"{card} must be a card in UTF-8 with metadata in YAML ({reason}).") from error
    return text


def _model(
    folder: ModelFolder, repo: str, card: str | None, evaluation: Path | None, staging: Path
) -> Upload:
    config = folder.config()
    kind = VidTwinEncoderModel if config.encoder_only else VidTwinModel
    folder.load(torch.device("cpu"), kind=kind)
    config.save_pretrained(staging)
    folder.processor().save_pretrained(staging)
    measured, evaluated = _measured(evaluation, folder, repo) if evaluation else (None, {})
    if card is None:
        own = folder.path / "README.md"
        card = for_repository(_read(own), repo) if own.is_file() else None
    if card is None:
        card = model_card(repo, config, story("unknown"), measured)
    elif measured:
        card = with_results(card, measured)
    weights = {path.name: path for path in folder.path.iterdir() if WEIGHTS.fullmatch(path.name)}
    made: dict[str, Path | bytes] = {path.name: path.read_bytes() for path in staging.iterdir()}
    files: dict[str, Path | bytes] = {"README.md": card.encode(), **made, **weights, **evaluated}
    left_out = sorted(path.name for path in folder.path.iterdir() if path.name not in files)
    return Upload(repo, "model", files, tuple(left_out))


def _measured(evaluation: Path, folder: ModelFolder, repo: str) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The summary, and the files of the evaluation to go along, without local folders and passwords."""
    file = evaluation / "summary.json"
    if not file.is_file():
        raise ValueError(f"{evaluation} holds no summary.json, as `vidtwin evaluate` writes it.")
    try:
        summary = json.loads(file.read_text(encoding="utf-8"))
        if summary["model_sha256"] != folder.sha256():
            raise ValueError(f"{evaluation} is the evaluation of another model, {summary['model']}.")
        scores = (evaluation / "scores.csv").read_text(encoding="utf-8")
        rows = list(csv.DictReader(io.StringIO(scores, newline="")))
        refused = [{**each, "video": _public(each["video"])} for each in summary["refused"]]
        summary |= {"model": repo, "data": _public(summary["data"]), "refused": refused}
    except (json.JSONDecodeError, KeyError, TypeError, OSError) as error:
        raise ValueError(f"{evaluation} is no whole report of `vidtwin evaluate` ({error}).") from error
    table = io.StringIO()
    writer = csv.DictWriter(table, fieldnames=list(rows[0]) if rows else ["video"], lineterminator="\n")
    writer.writeheader()
    writer.writerows({**row, "video": _public(row["video"])} for row in rows)
    return summary, {
        "evaluation/summary.json": (json.dumps(summary, indent=1) + "\n").encode(),
        "evaluation/table.md": (results_table(summary) + "\n").encode(),
        "evaluation/scores.csv": table.getvalue().encode(),
    }


def _public(name: str) -> str:
    """A name without local folders; an address without what a signature or a password may be in."""
    if "://" in name:
        parts = urlsplit(name)
        return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
    return Path(name).name if Path(name).is_absolute() else name


def _shards(folder: Path, repo: str, card: str | None) -> Upload:
    report = folder / _REPORT
    if not report.is_file():
        raise ValueError(f"{folder} holds tars, but no report.json: `vidtwin shards` makes shards with it.")
    told = json.loads(report.read_text(encoding="utf-8"))
    present = {path.name: path.stat().st_size for path in folder.glob("*.tar")}
    if present != {name: tar["bytes"] for name, tar in told["tars"].items()}:
        raise ValueError(f"{folder} has not the tars that its report.json tells (names or sizes differ).")
    own = folder / "README.md"
    text = card or (_read(own) if own.is_file() else dataset_card(repo, told))
    files: dict[str, Path | bytes] = {"README.md": text.encode(), _REPORT: report}
    files |= {name: folder / name for name in present}
    left_out = sorted(path.name for path in folder.iterdir() if path.name not in files)
    return Upload(repo, "dataset", files, tuple(left_out))
