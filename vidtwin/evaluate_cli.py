"""The commands `vidtwin evaluate` and `vidtwin compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from .failures import one_line_errors
from .options import BatchSize, Device, Dtype, Quiet, Revision, choose, set_up

evaluate_app = typer.Typer(rich_markup_mode=None)

Lpips = Annotated[
    Literal["vgg", "alex", "squeeze"] | None, typer.Option(help="Measure LPIPS too, by this network.")
]
Fvd = Annotated[
    str | None, typer.Option(metavar="FILE", help="Measure FVD too: the I3D TorchScript file, or hub.")
]


@evaluate_app.command()
@one_line_errors
def evaluate(
    model: Annotated[str, typer.Argument(help="A bundled model's name, a folder, or a Hub id.")],
    data: Annotated[
        str, typer.Argument(help="A folder of videos, a csv (path), tars, or hf://datasets/NAME/*.tar.")
    ],
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="The folder for the report; one that was begun goes on.")
    ],
    protocol: Annotated[
        Literal["vidtwin", "vidtok"],
        typer.Option(help="vidtwin: 25 fps, 224 pixels; vidtok: 30 fps, 256 pixels."),
    ] = "vidtwin",
    lpips: Lpips = None,
    fvd: Fvd = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Videos at most.")] = None,
    batch_size: BatchSize = 4,
    revision: Revision = None,
    device: Device = "auto",
    dtype: Dtype = "auto",
    quiet: Quiet = False,
) -> None:
    """Measure a model on many videos: PSNR, SSIM, LPIPS, FVD.

    DIR gets summary.json, scores of every clip (csv, parquet), table.md, entries for a model card, and
    index.html with the best, the median and the worst clip. In several processes: accelerate launch -m
    vidtwin evaluate ...
    """
    say = set_up(0, quiet)
    from .evaluation.evaluate_command import Settings, evaluate_model
    from .hub_cards.results import results_table
    from .modeling_vidtwin.model_folder import find_model

    folder = find_model(model, revision)
    settings = Settings(protocol, lpips, fvd, limit, batch_size, quiet)
    where = choose(folder, _of_this_process(device), dtype, say)
    summary = evaluate_model(folder, data, out, settings, where, say)
    if summary:
        typer.echo(results_table(summary))
        say(f"{out / 'index.html'}: the page to look at; {len(summary['refused'])} videos refused")


@evaluate_app.command()
@one_line_errors
def compare(
    codecs: Annotated[
        list[str],
        typer.Argument(
            metavar="CODEC...",
            help="VidTwin models, and KIND:SOURCE with a kind of wan, ltx, cogvideox, cosmos, mochi, "
            "hunyuanvideo, vidtok (diffusers) or emu3 and a folder, a Hub id, or random weights for the cost "
            "alone: ltx:random.",
        ),
    ],
    data: Annotated[str, typer.Option(help="As in vidtwin evaluate.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="The folder for compare.json and compare.md.")],
    protocol: Annotated[
        Literal["vidtwin", "vidtok"], typer.Option(help="As in vidtwin evaluate.")
    ] = "vidtwin",
    clips: Annotated[int, typer.Option(min=1, help="Clips, the first of each video.")] = 8,
    image_size: Annotated[
        int | None, typer.Option(min=16, help="Pixels of the square, the protocol's if left out.")
    ] = None,
    lpips: Lpips = None,
    fvd: Fvd = None,
    device: Device = "auto",
) -> None:
    """Compare codecs on the same clips: quality, rate, frames that come back, operations, seconds, memory.

    A last row is H.264 at as many bits as the first codec's latents have at 16 bits a number.
    """
    say = set_up(0, quiet=False)
    from .evaluation.compare_command import CompareSettings, table
    from .evaluation.compare_command import compare as compare_codecs
    from .modeling_vidtwin.model_folder import choose_device

    settings = CompareSettings(protocol, clips, image_size=image_size, lpips=lpips, fvd=fvd)
    typer.echo(table(compare_codecs(codecs, data, out, settings, choose_device(device), say)))


def _of_this_process(device: str) -> str:
    """Under `accelerate launch` each process has a GPU of its own."""
    from accelerate import PartialState

    state = PartialState()
    return str(state.device) if device == "auto" and state.num_processes > 1 else device
