"""Models, shards and metrics to the Hub: what would go, and the going, in one commit each."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, TypeVar

import torch
from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi
from huggingface_hub.utils import HFValidationError, validate_repo_id

from vidtwin.metrics.hub_names import NAMES
from vidtwin.modeling_vidtwin.hub_errors import hub_reason, is_of_the_hub, may_pass
from vidtwin.modeling_vidtwin.model_folder import ModelFolder, find_model
from vidtwin.modeling_vidtwin.modeling_vidtwin import VidTwinEncoderModel, VidTwinModel

from .cards import dataset_card, for_repository, model_card, story, with_results
from .results import results_table
from .spaces import metric_space

Result = TypeVar("Result")
_WAITS = (1.0, 4.0, 16.0)
_SCORES = ("scores.csv", "scores.parquet")


class PublishError(ValueError):
    """The Hub did not take what was sent."""


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
        lines += [f"  {size:>15,}  {name}" for name, size in sorted((n, s) for n, s in sizes.items())]
        return lines + [f"  {'stays here':>15}  {name}" for name in self.left_out]


@dataclass(frozen=True)
class Destination:
    """private, None: as the account's default is. revision: a branch, made if it is not there. tag: a name
    for the new commit. token: None takes that of `hf auth login` or HF_TOKEN."""

    private: bool | None = None
    revision: str | None = None
    tag: str | None = None
    token: str | None = None
    message: str = "Upload with vidtwin"


@contextmanager
def uploads(
    source: str, repo: str, card: Path | None = None, evaluation: Path | None = None, metrics: bool = False
) -> Iterator[list[Upload]]:
    """What a push of `source`, a model or a folder of shards, would send; nothing is sent yet.

    card: its README.md instead of the folder's own. evaluation: a folder of `vidtwin evaluate` of this very
    model. metrics: the Spaces of all metrics too. Raises ValueError for a folder that is not whole, and for
    another model's evaluation.
    """
    _check_id(repo)
    with TemporaryDirectory() as staging:
        if any(Path(source).glob("*.tar")):
            found = [_shards(Path(source), repo, card)]
        else:
            found = [_model(find_model(source), repo, card, evaluation, Path(staging))]
        owner = repo.split("/")[0]
        spaces = [Upload(f"{owner}/{name}", "space", metric_space(name, f"{owner}/{name}")) for name in NAMES]
        yield [*found, *(spaces if metrics else [])]


def _check_id(repo: str) -> None:
    try:
        validate_repo_id(repo)
    except HFValidationError as error:
        raise ValueError(f"a repository is named like org/name, got {repo!r}: {error}") from error
    if repo.count("/") != 1:
        raise ValueError(f"a repository is named like org/name, got {repo!r}.")


def _model(
    folder: ModelFolder, repo: str, card: Path | None, evaluation: Path | None, staging: Path
) -> Upload:
    config = folder.config()
    encoder_only = config.architectures == ["VidTwinEncoderModel"]
    model = folder.load(torch.device("cpu"), kind=VidTwinEncoderModel if encoder_only else VidTwinModel)
    config.save_pretrained(staging)
    folder.processor().save_pretrained(staging)
    measured, scores = _measured(evaluation, folder, repo) if evaluation else (None, {})
    readme = card or folder.path / "README.md"
    if readme.is_file():
        text = for_repository(readme.read_text(encoding="utf-8"), repo)
        text = with_results(text, measured) if measured else text
    elif card:
        raise ValueError(f"{card} is no file.")
    else:
        text = model_card(repo, model.config, story("unknown"), measured)
    files: dict[str, Path | bytes] = {path.name: path.read_bytes() for path in staging.iterdir()}
    weights = {path.name: path for path in folder.path.glob("model*.safetensors*")}
    files = {"README.md": text.encode(), **files, **weights, **scores}
    left_out = sorted(path.name for path in folder.path.iterdir() if path.name not in files)
    return Upload(repo, "model", files, tuple(left_out))


def _measured(evaluation: Path, folder: ModelFolder, repo: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The summary without the names of local folders, and the files of the evaluation to go along."""
    file = evaluation / "summary.json"
    if not file.is_file():
        raise ValueError(f"{evaluation} holds no summary.json, as `vidtwin evaluate` writes it.")
    summary = json.loads(file.read_text(encoding="utf-8"))
    if summary["model_sha256"] != folder.sha256():
        raise ValueError(f"{evaluation} is the evaluation of another model, {summary['model']}.")
    address = summary["data"].startswith(("hf://", "http://", "https://"))
    data = summary["data"] if address else Path(summary["data"]).name
    summary |= {"model": repo, "data": data}
    files: dict[str, Any] = {f"evaluation/{name}": evaluation / name for name in _SCORES}
    files["evaluation/summary.json"] = (json.dumps(summary, indent=1) + "\n").encode()
    files["evaluation/table.md"] = (results_table(summary) + "\n").encode()
    return summary, files


def _shards(folder: Path, repo: str, card: Path | None) -> Upload:
    report = folder / "report.json"
    if not report.is_file():
        raise ValueError(f"{folder} holds tars, but no report.json: `vidtwin shards` makes shards with it.")
    told = json.loads(report.read_text(encoding="utf-8"))
    present = {path.name: path.stat().st_size for path in folder.glob("*.tar")}
    if present != {name: tar["bytes"] for name, tar in told["tars"].items()}:
        raise ValueError(f"{folder} has not the tars that its report.json tells (names or sizes differ).")
    text = card.read_text(encoding="utf-8") if card else dataset_card(repo, told)
    files: dict[str, Path | bytes] = {"README.md": text.encode(), "report.json": report}
    return Upload(repo, "dataset", files | {name: folder / name for name in present})


def push(upload: Upload, where: Destination, say: Callable[[str], None] = print) -> str:
    """Sends an upload as one commit, so that a torn one changes nothing, and gives back its address.

    Weights and tars of an earlier push that are not part of this one are deleted in the same commit. What may
    pass (a busy Hub, a cut line) is tried again. Raises PublishError in one sentence for the rest, and for a
    tag that exists.
    """
    api = HfApi(token=where.token)
    where = replace(where, revision=where.revision or "main")
    at: dict[str, Any] = {"repo_type": upload.kind}
    try:
        sdk: dict[str, Any] = {"space_sdk": "static"} if upload.kind == "space" else {}
        made = _patiently(
            lambda: api.create_repo(upload.repo, private=where.private, exist_ok=True, **at, **sdk), say
        )
        at["repo_id"] = made.repo_id
        if where.tag in [each.name for each in _patiently(lambda: api.list_repo_refs(**at), say).tags]:
            raise PublishError(f"{upload.repo} has a tag {where.tag} already, and tags do not move.")
        if where.revision != "main":
            _patiently(lambda: api.create_branch(branch=where.revision or "", exist_ok=True, **at), say)
        commit = _patiently(lambda: _commit(api, upload, where, at), say)
        if where.tag:
            _patiently(
                lambda: api.create_tag(tag=where.tag or "", revision=commit.oid, exist_ok=True, **at), say
            )
    except Exception as error:
        if not is_of_the_hub(error):
            raise
        raise PublishError(f"the Hub did not take {upload.repo}: {hub_reason(error)}.") from error
    return str(made)


def _commit(api: HfApi, upload: Upload, where: Destination, at: dict[str, Any]) -> Any:
    earlier = api.list_repo_files(revision=where.revision, **at)
    stale = [name for name in earlier if _is_bulk(name) and name not in upload.files]
    operations: list[CommitOperationAdd | CommitOperationDelete] = [
        CommitOperationAdd(name, what if isinstance(what, bytes) else str(what))
        for name, what in sorted(upload.files.items())
    ]
    operations += [CommitOperationDelete(name) for name in stale]
    message, revision = where.message, where.revision
    return api.create_commit(operations=operations, commit_message=message, revision=revision, **at)


def _is_bulk(name: str) -> bool:
    """Weights or tars: old ones beside new ones would be loaded with them, or instead."""
    return "/" not in name and (name.startswith("model") and ".safetensors" in name or name.endswith(".tar"))


def _patiently(call: Callable[[], Result], say: Callable[[str], None]) -> Result:
    for wait in _WAITS:
        try:
            return call()
        except Exception as error:
            if not may_pass(error):
                raise
            say(f"the Hub: {hub_reason(error)}; once more in {wait:g} s")
            time.sleep(wait)
    return call()
