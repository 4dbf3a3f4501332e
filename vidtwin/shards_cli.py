"""`vidtwin shards SRC DST` makes shards of videos, `vidtwin shards check DIR` looks at them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from typer.core import TyperGroup

from .failures import one_line_errors


class _MakeByDefault(TyperGroup):
    """A first word that is no command belongs to `make`, so that `vidtwin shards SRC DST` works as typed."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, args if args and args[0] in self.commands else ["make", *args])


shards_app = typer.Typer(
    cls=_MakeByDefault,
    help="Pack videos into shards for training: shards SRC DST. Look at them: shards check DIR.",
    add_completion=False,
    rich_markup_mode=None,
)

Quiet = Annotated[bool, typer.Option("--quiet", help="No progress bar, no remarks.")]


def _rate(text: str) -> float | None:
    try:
        return None if text == "keep" else float(text)
    except ValueError:
        raise typer.BadParameter(f"--fps is a number or keep, not {text}.") from None


@shards_app.command("make")
@one_line_errors
def make(
    source: Annotated[
        Path, typer.Argument(metavar="SRC", help="A folder of videos, or a csv with a column `path`.")
    ],
    target: Annotated[Path, typer.Argument(metavar="DST", help="The folder for the shards.")],
    label_from: Annotated[
        Literal["folder", "none"],
        typer.Option(help="Labels: the name of a video's folder (of a csv: its column `label`), or none."),
    ] = "folder",
    short_side: Annotated[int, typer.Option(help="Pixels of the short side; smaller videos stay.")] = 256,
    gop: Annotated[int, typer.Option(help="A key frame at least every so many frames.")] = 12,
    fps: Annotated[
        str, typer.Option(metavar="RATE|keep", help="Take this many frames a second of faster videos.")
    ] = "keep",
    clip_seconds: Annotated[
        float, typer.Option(help="Longer videos are cut into equal parts of at most this length.")
    ] = 60.0,
    min_frames: Annotated[int, typer.Option(help="What has fewer frames is refused.")] = 16,
    crf: Annotated[int, typer.Option(help="Quality of H.264, lower is better.")] = 18,
    shard_size_mb: Annotated[float, typer.Option(help="The largest size of a tar, in MB.")] = 100.0,
    shards_multiple: Annotated[
        int, typer.Option(help="The number of tars is a multiple of this, given as many clips.")
    ] = 8,
    seed: Annotated[int, typer.Option(help="Seed of the order of clips in the tars.")] = 0,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes to encode with; all cores by default.")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Pack videos into WebDataset shards for training.

    Each readable video becomes a small mp4 with frequent key frames and its own time stamps; DST gets tars
    of these and report.json, which names every refused video and why. Started again, the same command goes
    on where it stopped. `vidtwin shards check DST` looks at the result.
    """
    rate = _rate(fps)
    from .training.shards import ShardSettings, make_shards, report_lines

    settings = ShardSettings(
        label_from=label_from,
        short_side=short_side,
        gop=gop,
        fps=rate,
        clip_seconds=clip_seconds,
        min_frames=min_frames,
        crf=crf,
        shard_size_mb=shard_size_mb,
        shards_multiple=shards_multiple,
        seed=seed,
    )
    say = (lambda _: None) if quiet else typer.echo
    try:
        report = make_shards(source, target, settings, workers, say)
    except KeyboardInterrupt:
        raise InterruptedError("interrupted; the same command goes on where it stopped.") from None
    typer.echo("\n".join(report_lines(report)))
    if not report["totals"]["clips"]:
        raise ValueError(f"no video of {source} can be used; {target / 'report.json'} has the reasons.")


@shards_app.command("check")
@one_line_errors
def check(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder of shards.")],
    every: Annotated[bool, typer.Option("--all", help="Decode every clip, not a sample.")] = False,
    sample: Annotated[int, typer.Option(min=1, help="How many clips to decode.")] = 64,
    contact_sheet: Annotated[
        Path | None, typer.Option(metavar="PNG", help="Write a picture with one frame of up to 64 clips.")
    ] = None,
    originals: Annotated[
        Path | None, typer.Option(metavar="SRC", help="Measure the speed of these videos, too.")
    ] = None,
    fps: Annotated[float, typer.Option(help="Frame rate of the clips whose speed is measured.")] = 8.0,
    seed: Annotated[int, typer.Option(help="Seed of the sample.")] = 0,
    quiet: Quiet = False,
) -> None:
    """Count what is in shards, decode a sample, and measure the speed of decoding.

    Exit code 1 if anything is missing or cannot be read.
    """
    from .training.shard_check import check_shards, contact_sheet_png, decoding_speed, shard_clips, video_files

    raise NotImplementedError
