"""What `vidtwin evaluate` does."""

from __future__ import annotations

import platform
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from accelerate import PartialState
from datasets.utils.logging import disable_progress_bar

from vidtwin import __version__
from vidtwin.modeling_vidtwin.model_folder import ModelFolder
from vidtwin.modeling_vidtwin.summary import summarize

from .clip_scores import Judges, Scorer
from .evaluation_report import summarise, write_clips, write_report
from .protocols import FVD_NET, PROTOCOLS
from .score_run import begin, score_all
from .sources import videos_of


@dataclass(frozen=True)
class Settings:
    """What is measured. protocol: a name of PROTOCOLS. lpips: a net, or None. fvd: "hub", the path of the I3D
    file, or None. limit: videos at most. quiet: no progress bar."""

    protocol: str = "vidtwin"
    lpips: str | None = None
    fvd: str | None = None
    limit: int | None = None
    batch_size: int = 4
    quiet: bool = False


def evaluate_model(
    folder: ModelFolder,
    data: str,
    out: Path,
    settings: Settings,
    where: tuple[torch.device, torch.dtype],
    say: Callable[[str], None] = print,
) -> dict[str, Any] | None:
    """Evaluates a model on a source of videos and writes a report to `out`; gives back its summary.

    A run that was stopped is gone on with. In processes other than the first the answer is None. Raises
    ValueError for what cannot be evaluated, MissingWeightsError for networks that are not there.
    """
    if Path(data).is_dir() and out.resolve().is_relative_to(Path(data).resolve()):
        raise ValueError(f"{out} lies inside {data}: its videos would be measured with the others.")
    if next(videos_of(data), None) is None:
        raise ValueError(f"{data} holds no video.")
    scorer = _scorer(folder, settings, where)
    identity = _identity(folder, data, settings, scorer)
    with PartialState().main_process_first():
        begin(out, identity)
    scores = score_all(scorer, data, out, settings.limit, say, settings.quiet)
    if scores is None:
        return None
    summary = summarise(scores, {**identity, **_facts(scorer), "limit": settings.limit})
    disable_progress_bar()
    write_clips(out, write_report(out, scores, summary), scorer, videos_of(data))
    return summary


def _scorer(folder: ModelFolder, settings: Settings, where: tuple[torch.device, torch.dtype]) -> Scorer:
    judges = Judges.load(settings.lpips, settings.fvd, where[0])
    fps = PROTOCOLS[settings.protocol].fps
    return Scorer(folder.load(*where), folder.processor("crop"), fps, settings.batch_size, judges)


def _identity(folder: ModelFolder, data: str, settings: Settings, scorer: Scorer) -> dict[str, Any]:
    """What decides the scores."""
    config = scorer.model.config
    return {
        "model": folder.name,
        "revision": folder.revision,
        "model_sha256": folder.sha256(),
        "data": data,
        "protocol": PROTOCOLS[settings.protocol].describe(config.image_size, config.num_frames),
        "lpips_net": settings.lpips,
        "fvd_net": FVD_NET if settings.fvd else None,
        "dtype": str(scorer.model.dtype).removeprefix("torch."),
    }


def _facts(scorer: Scorer) -> dict[str, Any]:
    """What else is worth knowing of a result."""
    config = scorer.model.config
    flops = summarize(config)
    return {
        "compression_rate": config.compression_rate,
        "latent_numbers": config.num_latents,
        "gflop_per_clip": (flops.encode_flops + (flops.decode_flops or 0)) / 1e9,
        "versions": {
            "vidtwin": __version__,
            "torch": torch.__version__,
            "transformers": transformers.__version__,
        },
        "cost": {"device": _device(scorer.model.device)},
    }


def _device(device: torch.device) -> str:
    return (
        torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or device.type
    )
