"""Uploads to the Hub: one commit each, tried again where that may help."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from huggingface_hub import CommitInfo, CommitOperationAdd, CommitOperationDelete, HfApi

from vidtwin.modeling_vidtwin.hub_errors import hub_reason, is_of_the_hub, may_pass

from .uploads import Upload

Result = TypeVar("Result")
_WAITS = (1.0, 4.0, 16.0)


class PublishError(ValueError):
    """The Hub did not take what was sent."""


@dataclass(frozen=True)
class Destination:
    """private, None: as the account's default is. revision: a branch, made if it is not there. tag: a name
    for the new commit. token: None takes that of `hf auth login` or HF_TOKEN."""

    private: bool | None = None
    revision: str = "main"
    tag: str | None = None
    token: str | None = None
    message: str = "Upload with vidtwin"


def push(upload: Upload, where: Destination, say: Callable[[str], None] = print) -> str:
    """Sends an upload as one commit, so that a torn one changes nothing, and gives back its address.

    What an earlier push left and this one replaces is deleted in the same commit, and told. What may pass (a
    busy Hub, a cut line) is tried again. Raises PublishError in one sentence for the rest, for a tag that
    exists, and for a repository that is there with another visibility than `private` asks for.
    """
    if where.token is not None and not where.token.isascii():
        raise PublishError("a token has ASCII letters only: it was copied wrongly.")
    api = HfApi(token=where.token)
    try:
        address, at = _prepare(api, upload, where, say)
        commit = _patiently(partial(_commit, api, upload, where, at, say), say)
    except Exception as error:
        if not is_of_the_hub(error):
            raise
        raise PublishError(f"the Hub did not take {upload.repo}: {hub_reason(error)}.") from error
    if where.tag:
        try:
            _patiently(partial(api.create_tag, tag=where.tag, revision=commit.oid, exist_ok=True, **at), say)
        except Exception as error:
            if not is_of_the_hub(error):
                raise
            raise PublishError(
                f"{upload.repo} was sent, but without the tag {where.tag}: {hub_reason(error)}. Push again."
            ) from error
    return address


def _prepare(
    api: HfApi, upload: Upload, where: Destination, say: Callable[[str], None]
) -> tuple[str, dict[str, Any]]:
    """Makes what is missing, repository and branch; its address, and how huggingface_hub's calls name it."""
    at: dict[str, Any] = {"repo_type": upload.kind}
    sdk: dict[str, Any] = {"space_sdk": "static"} if upload.kind == "space" else {}
    create = partial(api.create_repo, upload.repo, private=where.private, exist_ok=True, **at, **sdk)
    made = _patiently(create, say)
    at["repo_id"] = made.repo_id
    if where.private is not None:
        is_private = bool(_patiently(partial(api.repo_info, **at), say).private)
        if is_private != where.private:
            names = ("public", "private")
            raise PublishError(
                f"{upload.repo} is there and {names[is_private]}: make it {names[where.private]} in its "
                "settings first, or leave the option out."
            )
    if where.tag in [each.name for each in _patiently(partial(api.list_repo_refs, **at), say).tags]:
        raise PublishError(f"{upload.repo} has a tag {where.tag} already, and tags do not move.")
    if where.revision != "main" and not where.revision.startswith("refs/"):
        _patiently(partial(api.create_branch, branch=where.revision, exist_ok=True, **at), say)
    return str(made), at


def _commit(
    api: HfApi, upload: Upload, where: Destination, at: dict[str, Any], say: Callable[[str], None]
) -> CommitInfo:
    replaced = upload.replaced(api.list_repo_files(revision=where.revision, **at))
    if replaced:
        say(f"{upload.repo}: deletes {', '.join(replaced)} of an earlier push")
    operations: list[CommitOperationAdd | CommitOperationDelete] = [
        CommitOperationAdd(name, what if isinstance(what, bytes) else str(what))
        for name, what in sorted(upload.files.items())
    ]
    operations += [CommitOperationDelete(name) for name in replaced]
    message, revision = where.message, where.revision
    return api.create_commit(operations=operations, commit_message=message, revision=revision, **at)


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
