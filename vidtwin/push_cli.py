"""The command `vidtwin push`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from .failures import one_line_errors
from .options import set_up

push_app = typer.Typer(rich_markup_mode=None)


@push_app.command()
@one_line_errors
def push(
    source: Annotated[
        str,
        typer.Argument(metavar="DIR", help="A folder of a model or of shards, or a bundled model's name."),
    ],
    repo: Annotated[str, typer.Argument(metavar="ORG/NAME", help="The repository, made if it is not there.")],
    card: Annotated[
        Path | None, typer.Option(metavar="FILE", help="README.md to send; the folder's own if left out.")
    ] = None,
    evaluation: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Send this model's `vidtwin evaluate` report along.")
    ] = None,
    metrics: Annotated[
        bool, typer.Option("--metrics", help="Make Spaces of the metrics too: ORG/fvd and the others.")
    ] = False,
    private: Annotated[
        bool | None,
        typer.Option("--private/--public", help="Who may read it; refused where it is there and otherwise."),
    ] = None,
    revision: Annotated[str, typer.Option(help="Branch, made if it is not there.")] = "main",
    tag: Annotated[str | None, typer.Option(help="Name the new commit, v1.0 for example.")] = None,
    message: Annotated[str, typer.Option(help="Of the commit.")] = "Upload with vidtwin",
    token: Annotated[
        str | None, typer.Option(help="Instead of HF_TOKEN or `hf auth login`; other users may see it here.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List what would go, and send nothing.")] = False,
) -> None:
    """Send a model to the Hub: weights, configuration, code, card.

    One commit holds everything, so that a torn one changes nothing; push again to repair. It deletes weights
    and figures that an earlier push left and this one replaces. Where DIR has no README.md a card is written.
    Shards become a data set.
    """
    say = set_up(0, quiet=False)
    from .hub_cards.publish import Destination
    from .hub_cards.publish import push as send
    from .hub_cards.uploads import uploads

    with uploads(source, repo, card, evaluation, metrics) as planned:
        for upload in planned:
            typer.echo("\n".join(upload.lines()))
            if not dry_run:
                where = Destination(private=private, token=token, message=message)
                if upload is planned[0]:
                    where = replace(where, revision=revision, tag=tag)
                typer.echo(f"{send(upload, where, say)}: sent")
    if dry_run:
        typer.echo("dry run: nothing was sent")
