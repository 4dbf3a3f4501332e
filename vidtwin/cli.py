"""The command `vidtwin`: one short function per command; the work is done in the rooms.

Libraries are imported inside the functions, so that `--help` answers at once.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from typer.core import TyperCommand

from . import __version__
from .evaluate_cli import evaluate_app
from .failures import one_line_errors
from .metrics_cli import metrics_app
from .options import BatchSize, Device, Dtype, Fit, Model, Quiet, Revision, Seed, choose, set_up
from .push_cli import push_app
from .rate_cli import rate_app
from .shards_cli import shards_app

if TYPE_CHECKING:
    import numpy as np
    from tqdm import tqdm

    from .modeling_vidtwin import VidTwinVideoProcessor
    from .modeling_vidtwin.video_io import VideoReader, VideoWriter

app = typer.Typer(
    help="VidTwin: a video autoencoder with decoupled structure and dynamics latents.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

VideoIn = Annotated[
    Path, typer.Argument(metavar="IN", help="The video to read: mp4, mov, mkv, webm, avi or gif.")
]
VideoOut = Annotated[
    Path, typer.Argument(metavar="OUT", help="The video to write: .mp4, .mov, .mkv, .webm, .avi or .gif.")
]
Part = Annotated[
    Literal["all", "structure", "dynamics", "original"],
    typer.Option(help="The latents to decode: both, or one alone; original: what the model sees, untouched."),
]
SideBySide = Annotated[
    bool,
    typer.Option(
        "--side-by-side",
        help="Write original, reconstruction, structure only and dynamics only in a row, labelled.",
    ),
]
Metrics = Annotated[bool, typer.Option("--metrics", help="Print the PSNR of every frame and the mean.")]
MetricsJson = Annotated[Path | None, typer.Option(metavar="JSON", help="Write the PSNR values to this file.")]
StripOut = Annotated[
    Path | None,
    typer.Option(metavar="PNG", help="Write a picture too: the same four as rows, frames across the video."),
]


def main(*command: str) -> None:
    """Run the command line, after `command` if given; exit code 2 for wrong usage, 1 for what else fails."""
    app([*command, *sys.argv[1:]], prog_name="vidtwin")


app.add_typer(evaluate_app)
app.add_typer(push_app)
app.add_typer(shards_app, name="shards")
app.add_typer(metrics_app, name="metrics")
app.add_typer(rate_app, name="rate")


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"vidtwin {__version__}")
        raise typer.Exit


@app.callback()
def options_before_the_command(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@app.command()
@one_line_errors
def reconstruct(
    video_in: VideoIn,
    video_out: VideoOut,
    part: Part = "all",
    side_by_side: SideBySide = False,
    metrics: Metrics = False,
    metrics_json: MetricsJson = None,
    strip: StripOut = None,
    fit: Fit = "crop",
    batch_size: BatchSize = 4,
    model: Model = "demo",
    revision: Revision = None,
    device: Device = "auto",
    dtype: Dtype = "auto",
    seed: Seed = 0,
    quiet: Quiet = False,
) -> None:
    """Encode a video and decode it again.

    OUT has as many frames as IN, at the same rate, and shows the model's square of each. With --fit pad the
    bars are cut away again. The metrics compare with the original as the model saw it.
    """
    _refuse_part(part, side_by_side, metrics or metrics_json is not None)
    say = set_up(seed, quiet)
    from .metrics.frame_scores import FrameScores
    from .modeling_vidtwin import long_video, picture
    from .modeling_vidtwin.model_folder import find_model
    from .modeling_vidtwin.video_io import VideoReader, VideoWriter

    _keep_apart([video_in], [video_out, metrics_json, strip])
    alone = () if part == "original" else (part,)
    parts = long_video.PARTS if side_by_side or strip else alone
    scores, rows = FrameScores(), picture.Strip()
    with (
        VideoReader(video_in) as reader,
        _file_to_write(metrics_json) as json_file,
        _file_to_write(strip) as strip_file,
        VideoWriter(video_out, reader.fps) as writer,
    ):
        folder = find_model(model, revision)
        network, processor = folder.load(*choose(folder, device, dtype, say)), folder.processor(fit)
        say(_source(reader, processor))
        with _progress(reader, reader.info.num_frames, quiet) as frames:
            for pictures in long_video.reconstruct_parts(network, processor, frames, parts, batch_size):
                shown = picture.side_by_side(pictures) if side_by_side else pictures[part]
                writer.write(shown)
                if metrics or json_file:
                    scores.add(pictures)
                if strip_file:
                    rows.add(pictures)
        if json_file:
            json_file.write_text(json.dumps({"fps": str(reader.fps), "psnr": scores.as_dict()}, indent=1))
        if strip_file:
            strip_file.write_bytes(picture.png(rows.picture()))
    say(_result(video_out, shown, writer))
    if strip:
        say(f"{strip}: frames across the video")
    if metrics:
        typer.echo("\n".join(scores.lines()))


@app.command()
@one_line_errors
def encode(
    video_in: VideoIn,
    latents_out: Annotated[Path, typer.Argument(metavar="LATENTS", help="The safetensors file to write.")],
    fit: Fit = "crop",
    batch_size: BatchSize = 4,
    model: Model = "demo",
    revision: Revision = None,
    device: Device = "auto",
    dtype: Dtype = "auto",
    seed: Seed = 0,
    quiet: Quiet = False,
) -> None:
    """Turn a video into a file of latents.

    The file holds the posterior means and what `vidtwin decode` needs to make the video again.
    """
    say = set_up(seed, quiet)
    from .modeling_vidtwin import VidTwinEncoderModel, long_video
    from .modeling_vidtwin.latents_file import VideoLatents
    from .modeling_vidtwin.model_folder import find_model
    from .modeling_vidtwin.video_io import VideoReader

    _keep_apart([video_in], [latents_out])
    with VideoReader(video_in) as reader, _file_to_write(latents_out) as file:
        folder = find_model(model, revision)
        network = folder.load(*choose(folder, device, dtype, say), VidTwinEncoderModel)
        processor = folder.processor(fit)
        view = processor.view(reader.info.height, reader.info.width)
        say(_source(reader, processor))
        with _progress(reader, reader.info.num_frames, quiet) as frames:
            structure, dynamics, count = long_video.encode_frames(network, processor, frames, batch_size)
        latents = VideoLatents(
            structure=structure,
            dynamics=dynamics,
            fps=reader.fps,
            num_frames=count,
            height=view.picture[2],
            width=view.picture[3],
            model=folder.name,
            revision=folder.revision,
            model_sha256=folder.sha256(),
        )
        latents.save(file)
    say(f"{latents_out}: {structure.numel() + dynamics.numel():,} numbers for {count} frames")


@app.command()
@one_line_errors
def decode(
    latents_in: Annotated[
        Path, typer.Argument(metavar="LATENTS", help="A file that `vidtwin encode` wrote.")
    ],
    video_out: VideoOut,
    force: Annotated[bool, typer.Option("--force", help="Decode another model's latents too.")] = False,
    batch_size: BatchSize = 4,
    model: Model = "demo",
    revision: Revision = None,
    device: Device = "auto",
    dtype: Dtype = "auto",
    seed: Seed = 0,
    quiet: Quiet = False,
) -> None:
    """Turn a file of latents back into a video.

    OUT has the number of frames and the rate of the video that was encoded.
    """
    say = set_up(seed, quiet)
    from .modeling_vidtwin import long_video
    from .modeling_vidtwin.latents_file import VideoLatents
    from .modeling_vidtwin.model_folder import find_model
    from .modeling_vidtwin.video_io import VideoWriter

    _keep_apart([latents_in], [video_out])
    latents = VideoLatents.load(latents_in)
    with VideoWriter(video_out, latents.fps) as writer:
        folder = find_model(model, revision)
        if not force:
            latents.check_model(folder)
        network, processor = folder.load(*choose(folder, device, dtype, say)), folder.processor()
        view = processor.view(latents.height, latents.width, fit="pad")
        frames = long_video.decode_latents(
            network, processor, latents.structure, latents.dynamics, latents.num_frames, batch_size
        )
        with _progress(frames, latents.num_frames, quiet) as decoded:
            for frame in decoded:
                shown = processor.remove_padding(frame, view)
                writer.write(shown)
    say(_result(video_out, shown, writer))


@app.command()
@one_line_errors
def swap(
    structure_video: Annotated[Path, typer.Argument(help="The video whose structure is taken.")],
    dynamics_video: Annotated[Path, typer.Argument(help="The video whose dynamics, and rate, are taken.")],
    video_out: VideoOut,
    fit: Fit = "crop",
    batch_size: BatchSize = 4,
    model: Model = "demo",
    revision: Revision = None,
    device: Device = "auto",
    dtype: Dtype = "auto",
    seed: Seed = 0,
    quiet: Quiet = False,
) -> None:
    """Structure of one video, dynamics of another.

    Frames are paired in order: the result has the dynamics video's rate and ends with the shorter of the two.
    """
    say = set_up(seed, quiet)
    from .modeling_vidtwin import long_video
    from .modeling_vidtwin.model_folder import find_model
    from .modeling_vidtwin.video_io import VideoReader, VideoWriter

    _keep_apart([structure_video, dynamics_video], [video_out])
    with (
        VideoReader(structure_video) as structure,
        VideoReader(dynamics_video) as dynamics,
        VideoWriter(video_out, dynamics.fps) as writer,
    ):
        folder = find_model(model, revision)
        network, processor = folder.load(*choose(folder, device, dtype, say)), folder.processor(fit)
        say(_source(structure, processor))
        say(_source(dynamics, processor))
        with _progress(dynamics, dynamics.info.num_frames, quiet) as frames:
            for shown in long_video.swap_frames(network, processor, structure, frames, batch_size):
                writer.write(shown)
    say(_result(video_out, shown, writer) + " (rate of the dynamics video, length of the shorter one)")


@app.command()
@one_line_errors
def info(
    model: Annotated[
        str, typer.Argument(help="A bundled model, a folder, a Hub id, or a scale: small, base, large.")
    ],
    revision: Revision = None,
) -> None:
    """Tell a model's size, shapes and cost.

    Parameters part by part, shapes and compression rate of the latents, operations per clip.
    """
    from .configuration.presets import SCALES, vidtwin_config
    from .modeling_vidtwin.model_folder import find_model
    from .modeling_vidtwin.summary import summarize

    decodes = True
    if model in SCALES and revision is None:
        config = vidtwin_config(model)
        typer.echo(f"{model}: the paper's {model} scale, no weights")
    else:
        folder = find_model(model, revision)
        config = folder.config()
        classes = " ".join(config.architectures or ["weights"])
        decodes = not config.encoder_only
        typer.echo(f"{folder.path}: {classes}, stored as {folder.dtypes()}")
    typer.echo("\n".join(summarize(config, decodes).lines()))


@app.command()
@one_line_errors
def convert(
    source: Annotated[
        str,
        typer.Argument(
            metavar="CKPT",
            help="A released .ckpt, or the Hub id microsoft/vidtwin (--to-released: a folder).",
        ),
    ],
    target: Annotated[
        Path, typer.Argument(metavar="DIR", help="A new folder (with --to-released: a .ckpt).")
    ],
    num_attention_heads: Annotated[int, typer.Option(min=1, help="Heads of the transformers.")] = 12,
    qformer_num_attention_heads: Annotated[int, typer.Option(min=1, help="Heads of the Q-Former.")] = 8,
    to_released: Annotated[
        bool, typer.Option("--to-released", help="The other way: from a folder to a released .ckpt.")
    ] = False,
    base: Annotated[
        Path | None, typer.Option(help="With --to-released: a .ckpt that lends the tensors no model uses.")
    ] = None,
    revision: Revision = None,
) -> None:
    """Turn a released checkpoint into a folder, or back.

    The folder is one that from_pretrained and `vidtwin push` take. No tensor tells the numbers of heads: the
    defaults are those of the released model. Nothing is rounded, so that the way back is exact.
    """
    if base and not to_released:
        raise typer.BadParameter("--base goes with --to-released.")
    say = set_up(0, quiet=False)
    import torch

    from .hub_cards.cards import model_card, released_story
    from .modeling_vidtwin import VidTwinVideoProcessor, conversion
    from .modeling_vidtwin.model_folder import find_model, new_folder

    if to_released:
        _keep_apart([base], [target])
        with _file_to_write(target) as file:
            model = find_model(source, revision).load(torch.device("cpu"))
            lent = conversion.read_released(base) if base else None
            tensors, left_out = conversion.released_from_model(model, lent)
            with file.open("wb") as stream:
                torch.save({"state_dict": tensors}, stream)
        say(f"{target}: released checkpoint" + (f" without {', '.join(left_out)}" if left_out else ""))
        return
    with new_folder(target) as folder:
        heads = num_attention_heads, qformer_num_attention_heads
        checkpoint = conversion.released_checkpoint(source, revision)
        model = conversion.convert_to_folder(checkpoint, folder, *heads)
        VidTwinVideoProcessor.from_config(model.config).save_pretrained(folder)
        if source == conversion.RELEASED_REPO:
            card = model_card(str(target), model.config, released_story(source, model.config))
            (folder / "README.md").write_text(card, encoding="utf-8")
    say(f"heads: {heads[0]} of the transformers, {heads[1]} of the Q-Former; no tensor tells them")
    config = model.config
    say(f"rate: {config.num_latents:,} numbers a clip, {config.compression_rate:.3%}; a clip went through")
    say(f"{target}: {model.num_parameters():,} parameters; `vidtwin info {target}` tells more")


class _ResumeCommand(TyperCommand):
    """`--resume` may stand alone: typer has no option with an optional value, so it is given "last"."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        given: list[str] = []
        for position, word in enumerate(args):
            alone = word == "--resume" and (position + 1 == len(args) or args[position + 1].startswith("-"))
            given.append("--resume=last" if alone else word)
        return super().parse_args(ctx, given)


@app.command(cls=_ResumeCommand)
@one_line_errors
def train(
    recipe: Annotated[str, typer.Argument(help="A bundled recipe's name, or the path of a YAML file.")],
    output_dir: Annotated[Path, typer.Option(help="Folder for checkpoints and the finished model.")],
    resume: Annotated[
        str | None, typer.Option(metavar="[CHECKPOINT]", help="Go on from the last checkpoint, or this one.")
    ] = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change one value; repeatable.")
    ] = None,
) -> None:
    """Train a model as a recipe says."""
    from .training.command import train_recipe

    train_recipe(recipe, output_dir, resume == "last" or resume or False, overrides or [])


def _refuse_part(part: str, side_by_side: bool, metrics: bool) -> None:
    """Refuses options that do not go with a part."""
    if side_by_side and part != "all":
        raise typer.BadParameter("--side-by-side shows every part; leave --part out.")
    if metrics and part == "original":
        raise typer.BadParameter("--part original is what metrics compare with; leave one of them out.")


def _keep_apart(inputs: Sequence[Path | None], outputs: Sequence[Path | None]) -> None:
    """Refuses an output that is an input, or two outputs that are one file."""
    taken = {os.path.realpath(path) for path in inputs if path}
    for path in filter(None, outputs):
        if os.path.realpath(path) in taken:
            raise ValueError(f"{path} is named twice; an output must be a file of its own.")
        taken.add(os.path.realpath(path))


@contextmanager
def _file_to_write(path: Path | None) -> Iterator[Any]:
    """Tries the place before the long work; the file appears whole when the block ends well."""
    from .modeling_vidtwin.video_io import atomic_path

    if path is None:
        yield None
        return
    with atomic_path(path) as partial:
        try:
            partial.touch()
            yield partial
        except OSError as error:
            if partial.name not in str(error.filename):
                raise
            raise OSError(error.errno, error.strerror, os.fspath(path)) from error


def _progress(frames: Iterable[np.ndarray], total: int | None, quiet: bool) -> tqdm:
    from tqdm import tqdm

    return tqdm(frames, total=total, unit="frame", disable=quiet)


def _source(reader: VideoReader, processor: VidTwinVideoProcessor) -> str:
    """One line about an input and what of it the model sees."""
    info = reader.info
    count = "" if info.num_frames is None else f"{info.num_frames} frames at "
    view = processor.view(info.height, info.width)
    return f"{info.path}: {count}{float(reader.fps):.6g} fps, {view.describe()}"


def _result(path: Path, frame: np.ndarray, writer: VideoWriter) -> str:
    """One line about a video that was written."""
    height, width, _ = frame.shape
    return f"{path}: {width}x{height}, {writer.num_frames} frames at {float(writer.fps):.6g} fps"
