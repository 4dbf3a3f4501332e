"""The commands `vidtwin shards SRC DST` and `vidtwin shards check DIR`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from typer.core import TyperGroup

from .failures import one_line_errors

_SHOWN = 20


class _MakeByDefault(TyperGroup):
    """A first word that is no command's name belongs to `make`, so that `vidtwin shards SRC DST` works."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, args if args and args[0] in self.commands else ["make", *args])


shards_app = typer.Typer(
    cls=_MakeByDefault,
    rich_markup_mode=None,
    help="Make training shards of videos: shards SRC DST. Check them: shards check DIR.",
)


@shards_app.command()
@one_line_errors
def make(
    source: Annotated[
        Path, typer.Argument(metavar="SRC", help="A folder of videos, or a csv with columns path and label.")
    ],
    target: Annotated[Path, typer.Argument(metavar="DST", help="A new folder for the tars.")],
    label_from: Annotated[
        Literal["folder", "none"],
        typer.Option(help="Labels from the folders in SRC (or the csv's column), or none."),
    ] = "folder",
    short_side: Annotated[int, typer.Option(min=16, help="Pixels of the short side of larger videos.")] = 256,
    gop: Annotated[int, typer.Option(min=1, help="Frames from one key frame to the next.")] = 12,
    shard_mb: Annotated[float, typer.Option(min=0.01, help="Megabytes of a tar at most.")] = 100,
    max_seconds: Annotated[float, typer.Option(min=0.1, help="Longer videos are cut into pieces.")] = 60,
    workers: Annotated[int, typer.Option(min=0, help="Processes to encode in; 0 is one per core.")] = 0,
) -> None:
    """Make WebDataset tars of small clips that decode fast: vidtwin shards SRC DST.

    H.264 without sound, frames at their own times; a number of tars that is a multiple of 8. A run that was
    stopped goes on where it was; until the end its work lies in DST.making. vidtwin shards check DST looks
    at the result.
    """
    from .training.shards import ShardSettings, make_shards

    settings = ShardSettings(label_from, short_side, gop, shard_mb, max_seconds)
    try:
        report = make_shards(source, target, settings, workers or os.cpu_count() or 1, typer.echo)
    except KeyboardInterrupt:
        raise InterruptedError("interrupted; the same command goes on with what is encoded.") from None
    _list("refused", [f"{refused['file']}: {refused['reason']}" for refused in report["refused"]])
    for suffix, count in report["ignored"].items():
        typer.echo(f"left out: {count} files ending in {suffix or 'no suffix'}")
    typer.echo(
        f"{target}: {report['clips']} clips of {report['made']} videos, {len(report['refused'])} refused; "
        f"{report['seconds']:.1f} s, {report['megabytes']:.1f} MB, {len(report['tars'])} tars, "
        f"{len(report['labels'])} labels"
    )


@shards_app.command()
@one_line_errors
def check(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder of tars.")],
    decode_all: Annotated[bool, typer.Option("--all", help="Decode every clip, not a sample.")] = False,
    sheet: Annotated[
        Path | None, typer.Option("--contact-sheet", metavar="PNG", help="Write a picture of up to 64 clips.")
    ] = None,
    originals: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Measure these videos' decoding too.")
    ] = None,
) -> None:
    """Count, decode and measure what is in a folder of shards; exit code 1 if anything is broken."""
    from .training import shard_check

    found = shard_check.check_shards(folder, decode_all)
    typer.echo("\n".join(found.lines()))
    _list("broken", found.broken)
    typer.echo(shard_check.speed_of_shards(found.members).line(str(folder)))
    if originals is not None:
        typer.echo(shard_check.speed_of_folder(originals).line(str(originals)))
    if sheet is not None:
        typer.echo(f"{sheet}: {shard_check.contact_sheet(found.members, sheet)} clips")
    if found.broken:
        raise ValueError(f"{len(found.broken)} things are broken in {folder}.")


def _list(what: str, lines: list[str]) -> None:
    for line in lines[:_SHOWN]:
        typer.echo(f"{what}: {line}")
    if len(lines) > _SHOWN:
        typer.echo(f"{what}: and {len(lines) - _SHOWN} more")
