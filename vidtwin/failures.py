"""How a command fails: one line on stderr and exit code 1."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

import typer

P = ParamSpec("P")


def one_line_errors(function: Callable[P, None]) -> Callable[P, None]:
    """Turns whatever stops a command into one line on stderr and exit code 1; wrong usage stays as it is."""

    @wraps(function)
    def command(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            function(*args, **kwargs)
        except (typer.Exit, typer.BadParameter):
            raise
        except BrokenPipeError:  # the reader of our output, `head` say, has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(1) from None
        except KeyboardInterrupt:
            raise _failure("interrupted; no unfinished file is left.") from None
        except Exception as error:
            raise _failure(_reason(error)) from error

    return command


def _reason(error: Exception) -> str:
    # torch.save hides what the system says of a full disk behind an error of its own.
    if isinstance(error, RuntimeError) and isinstance(error.__context__, OSError):
        error = error.__context__
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}." if error.filename else f"{error.strerror}."
    from huggingface_hub.errors import StrictDataclassError

    from .modeling_vidtwin.hub_errors import hub_reason, is_of_the_hub

    if isinstance(error, StrictDataclassError):  # the last line is the field's own
        return str(error).splitlines()[-1]
    if is_of_the_hub(error):
        return f"the Hub: {hub_reason(error)}."
    known = isinstance(error, OSError | ValueError)
    return str(error) if known else f"{type(error).__name__}: {error}"


def _failure(message: str) -> typer.Exit:
    typer.echo(f"Error: {' '.join(message.split())}", err=True)
    return typer.Exit(1)
