"""Options that several commands share, and what they do first."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    import torch

    from .modeling_vidtwin.model_folder import ModelFolder

Fit = Annotated[
    Literal["crop", "pad", "squash"],
    typer.Option(
        help="How a frame becomes the model's square: keep the centre, add bars (cut away again), or distort."
    ),
]
BatchSize = Annotated[int, typer.Option(min=1, help="Clips in the model at once.")]
Model = Annotated[str, typer.Option(help="A bundled model's name, a folder, or a Hub id such as org/name.")]
Revision = Annotated[str | None, typer.Option(help="Branch, tag or commit of a model on the Hub.")]
Device = Annotated[str, typer.Option(help="auto (CUDA where there is one), cpu, cuda, cuda:1 ...")]
Dtype = Annotated[
    Literal["auto", "float32", "bfloat16", "float16"],
    typer.Option(help="Numbers to compute in; auto is bfloat16 where it is fast, else float32."),
]
Seed = Annotated[
    int, typer.Option(help="Seed of random numbers; latents are posterior means, which need none.")
]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress bar, no remarks.")]


def set_up(seed: int, quiet: bool) -> Callable[[str], None]:
    """Seeds torch, silences libraries as asked, and gives back what prints remarks."""
    import torch
    from huggingface_hub.utils import disable_progress_bars
    from transformers.utils import logging

    torch.manual_seed(seed)
    logging.disable_progress_bar()  # loading weights takes a moment
    if quiet:
        disable_progress_bars()
        logging.set_verbosity_error()
        return lambda _: None
    return typer.echo


def choose(
    folder: ModelFolder, device: str, dtype: str, say: Callable[[str], None]
) -> tuple[torch.device, torch.dtype]:
    """The device and dtype to compute with, printed."""
    from .modeling_vidtwin.model_folder import choose_device, choose_dtype

    chosen_device = choose_device(device)
    chosen_dtype, reason = choose_dtype(dtype, chosen_device)
    say(f"model {folder.name} on {chosen_device} in {str(chosen_dtype).removeprefix('torch.')} ({reason})")
    return chosen_device, chosen_dtype
