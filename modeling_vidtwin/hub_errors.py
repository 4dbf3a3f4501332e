"""What the Hub or the network answered, in one sentence that says what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

_LOG_IN = "log in with `hf auth login`, or set HF_TOKEN"
_STATUS = {
    400: "it refuses what was sent",
    401: f"there is no token, or one that it does not know: {_LOG_IN}",
    403: "the token may not write there: take one with write access, or a repository of your own",
    404: f"there is no such repository, or it is private: {_LOG_IN}",
    409: "another change came in between",
    412: "another change came in between",
    413: "it is too large for the Hub",
    429: "too many requests for now: try again later",
}
_PASSING = {408, 409, 412, 429, 500, 502, 503, 504}


def is_of_the_hub(error: BaseException) -> bool:
    """Whether an error came from the Hub or from the way to it."""
    error = _inside(error)
    known = isinstance(error, HfHubHTTPError | LocalEntryNotFoundError | OfflineModeIsEnabled)
    return known or _is_of_the_network(error)


def may_pass(error: BaseException) -> bool:
    """Whether the same request may succeed later: the Hub was busy, or the line was cut."""
    error = _inside(error)
    if isinstance(error, HfHubHTTPError):
        return _status(error) in _PASSING
    return _is_of_the_network(error)


def hub_reason(error: BaseException) -> str:
    """The reason in one sentence without its full stop; never the token, never an address."""
    error = _inside(error)
    if isinstance(error, LocalEntryNotFoundError):
        behind = error.__cause__ or error.__context__
        why = hub_reason(behind) if behind is not None and is_of_the_hub(behind) else "it cannot be reached"
        return f"{why}; and it is not in the cache"
    for kind, reason in (
        (OfflineModeIsEnabled, "HF_HUB_OFFLINE is set"),
        (GatedRepoError, "it is gated: ask for access on its page, then " + _LOG_IN),
        (RepositoryNotFoundError, _STATUS[404]),
        (RevisionNotFoundError, "it has no such revision"),
        (EntryNotFoundError, "it has no such file"),
    ):
        if isinstance(error, kind):
            return reason
    if isinstance(error, HfHubHTTPError):
        return _reason_of(error)
    if _is_of_the_network(error):
        return f"it cannot be reached ({type(error).__name__})"
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _inside(error: BaseException) -> BaseException:
    """huggingface_hub wraps what goes wrong with a large file."""
    wrapped = type(error) is RuntimeError and error.__cause__ is not None
    return error.__cause__ or error if wrapped else error


@contextmanager
def refused_as(kind: type[ValueError], message: str) -> Iterator[None]:
    """Turns what a download fails with into `kind` with a message, in which "{reason}" is filled in."""
    try:
        yield
    except Exception as error:
        if not isinstance(error, OSError | ValueError) and not is_of_the_hub(error):
            raise
        raise kind(message.replace("{reason}", hub_reason(error))) from error


def _reason_of(error: HfHubHTTPError) -> str:
    status = _status(error)
    if status >= 500:
        return f"it failed ({status}): try again later"
    told = f" ({error.server_message.splitlines()[0]})" if error.server_message else ""
    return _STATUS.get(status, "it refuses the request") + f" ({status})" + told


def _status(error: HfHubHTTPError) -> int:
    return int(getattr(error.response, "status_code", 0) or 0)


def _is_of_the_network(error: BaseException) -> bool:
    """httpx's own errors: which library of that name huggingface_hub uses depends on its version."""
    return any(base.__module__.partition(".")[0] in ("httpx", "httpx2") for base in type(error).__mro__)
