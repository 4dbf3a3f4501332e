"""The commands `vidtwin rate page` and `vidtwin rate mos`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .failures import one_line_errors

rate_app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="The paper's human study: rate page, rate mos."
)


@rate_app.command()
@one_line_errors
def page(
    originals: Annotated[Path, typer.Argument(metavar="ORIGINALS", help="A folder of mp4 videos.")],
    systems: Annotated[
        list[str],
        typer.Argument(metavar="NAME=FOLDER...", help="A folder with a copy of each, by a system's name."),
    ],
    out: Annotated[Path, typer.Option(metavar="HTML", help="The page to write.")],
    title: Annotated[str, typer.Option(help="The page's heading.")] = "Rate these videos",
) -> None:
    """Write a page of blinded, shuffled pairs to rate from 1 to 5.

    The page holds every video and needs no server; it saves answers as a JSON file. HTML.key.json tells whose
    each copy is: keep it from the raters.
    """
    from .evaluation.rating import key_of, write_page

    named = [each.partition("=") for each in systems]
    if not all(name and folder for name, _, folder in named) or len({name for name, *_ in named}) < len(
        named
    ):
        raise typer.BadParameter("name each system once, as NAME=FOLDER.")
    pairs = write_page(originals, {name: Path(folder) for name, _, folder in named}, out, title)
    typer.echo(f"{out}: {pairs} pairs; {key_of(out)} tells whose they are")


@rate_app.command()
@one_line_errors
def mos(
    key: Annotated[Path, typer.Argument(metavar="KEY", help="The page's key.json.")],
    answers: Annotated[list[Path], typer.Argument(metavar="JSON...", help="What the raters saved.")],
) -> None:
    """Mean opinion scores of the answers, with 95 % intervals."""
    from .evaluation.rating import opinions, table

    typer.echo(table(opinions(key, answers)))
