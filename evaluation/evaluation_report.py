"""What is written of an evaluation: a summary, tables, entries for a model card, and a page to look at."""

from __future__ import annotations

import html
import json
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import yaml
from datasets import Dataset
from huggingface_hub import EvalResult, ModelCardData

from vidtwin.metrics.frechet import frechet_distance, frechet_interval
from vidtwin.modeling_vidtwin.picture import side_by_side
from vidtwin.modeling_vidtwin.video_io import VideoWriter

from .clip_scores import Scorer
from .protocols import fvd_note
from .score_run import Scores
from .sources import Video

LABELS = {"psnr": "PSNR (dB)", "ssim": "SSIM", "lpips": "LPIPS", "fvd": "FVD"}
_ROUNDS = 20  # each is a decomposition as large as the set
SHOWN = ("best", "median", "worst")
_STYLE = """
body { font-family: system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; margin: 1rem 0; } th, td { padding: .3rem .8rem; text-align: left; }
tr { border-bottom: 1px solid #ddd; }
video { width: 100%; max-width: 44rem; background: #000; } figure { margin: 2rem 0; }
"""


def summarise(scores: Scores, facts: dict[str, Any]) -> dict[str, Any]:
    """The figures of all clips with what they are figures of; "cost" alone changes from run to run."""
    metrics: dict[str, Any] = {
        name: fmean(row[name] for row in scores.rows) for name in LABELS if name in scores.rows[0]
    }
    if len(scores.predictions) > 1:
        metrics["fvd"] = frechet_distance(scores.predictions, scores.references)
        metrics["fvd_interval"] = frechet_interval(
            scores.predictions, scores.references, rounds=_ROUNDS, paired=True
        )
        metrics["fvd_clips"] = len(scores.predictions)
    note = fvd_note(len(scores.predictions)) if facts["fvd_net"] else None
    return {
        **{name: value for name, value in facts.items() if name != "cost"},
        "notes": [note] if note else [],
        "n_videos": len({row["video"] for row in scores.rows}),
        "n_clips": len(scores.rows),
        "n_frames": sum(row["frames"] for row in scores.rows),
        "refused": scores.refused,
        "metrics": metrics,
        "cost": {
            **facts["cost"],
            "seconds": scores.seconds,
            "clips_per_second": len(scores.rows) / scores.seconds,
        },
    }


def table(summary: dict[str, Any]) -> str:
    """The figures as a Markdown table, with the protocol below."""
    named = _named(summary)
    heads = ["model", "rate", "numbers a clip", *(label for label, _ in named), "clips"]
    values = [
        summary["model"],
        f"{summary['compression_rate']:.4%}",
        f"{summary['latent_numbers']:,}",
        *(f"{value:.4g}" for _, value in named),
        f"{summary['n_clips']:,}",
    ]
    rows = [heads, ["---"] * len(heads), values]
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    below = [f"Protocol {summary['protocol']}; {summary['n_videos']:,} videos.", *summary["notes"]]
    return "\n".join([*lines, "", "\n\n".join(below)])


def _named(summary: dict[str, Any]) -> list[tuple[str, float]]:
    """The metrics by the names to show, with the network and the number of clips where these differ."""
    more = {"lpips": f", {summary['lpips_net']}", "fvd": f", I3D, n {summary['metrics'].get('fvd_clips')}"}
    return [
        (LABELS[name] + more.get(name, ""), value)
        for name, value in summary["metrics"].items()
        if name in LABELS
    ]


def _metric_args(summary: dict[str, Any], metric: str) -> dict[str, Any]:
    args = {"protocol": summary["protocol"], "n_clips": summary["n_clips"]}
    if metric == "fvd":
        args["n_clips"] = summary["metrics"]["fvd_clips"]
    return args | ({"net": summary[f"{metric}_net"]} if metric in ("lpips", "fvd") else {})


def model_index(summary: dict[str, Any]) -> str:
    """The figures as the `model-index` of a model card, YAML."""
    results = [
        EvalResult(
            task_type="video-to-video",
            dataset_type="video",
            dataset_name=summary["data"],
            metric_type=name,
            metric_name=LABELS[name],
            metric_value=value,
            metric_args=_metric_args(summary, name),
        )
        for name, value in summary["metrics"].items()
        if name in LABELS
    ]
    card = ModelCardData(model_name=summary["model"].rstrip("/").rsplit("/", 1)[-1], eval_results=results)
    return yaml.safe_dump({"model-index": card.to_dict()["model-index"]}, sort_keys=False)


def chosen_clips(rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The clips of the highest, the middle and the lowest PSNR."""
    ranked = sorted(rows, key=lambda row: (row["psnr"], row["video"], row["clip"]))
    return dict(zip(SHOWN, (ranked[-1], ranked[len(ranked) // 2], ranked[0]), strict=True))


def write_clips(
    out: Path, chosen: dict[str, dict[str, Any]], scorer: Scorer, videos: Iterable[Video]
) -> None:
    """Writes each chosen clip as OUT/NAME.mp4, the original beside the reconstruction."""
    missing = dict(chosen)
    for video in videos:
        names = {name: row["clip"] for name, row in missing.items() if row["video"] == video.name}
        if names:
            clips = list(islice(scorer.clips(video), max(names.values()) + 1))
            for name, number in names.items():
                _write_pair(out / f"{name}.mp4", clips[number], scorer.fps)
                del missing[name]
        if not missing:
            return


def _write_pair(path: Path, clips: tuple[np.ndarray, np.ndarray], fps: float) -> None:
    with VideoWriter(path, fps) as writer:
        for one, other in zip(*clips, strict=True):
            writer.write(side_by_side({"original": one, "all": other}))


def page(summary: dict[str, Any], chosen: dict[str, dict[str, Any]]) -> str:
    """The page to look at: figures, and the chosen clips beside their originals."""
    facts = [
        ("model", summary["model"]),
        ("data", summary["data"]),
        ("protocol", summary["protocol"]),
        (
            "videos, clips, frames",
            f"{summary['n_videos']:,}, {summary['n_clips']:,}, {summary['n_frames']:,}",
        ),
        ("rate", f"{summary['compression_rate']:.4%}, {summary['latent_numbers']:,} numbers a clip"),
        ("refused videos", f"{len(summary['refused']):,}"),
        *((label, f"{value:.4g}") for label, value in _named(summary)),
        *(("note", note) for note in summary["notes"]),
    ]
    rows = "\n".join(f"<tr><td>{_text(name)}</td><td>{_text(value)}</td></tr>" for name, value in facts)
    figures = "\n".join(
        f'<figure id="{name}"><video src="{name}.mp4" controls loop muted autoplay playsinline></video>'
        f"<figcaption>{name}: {_text(row['video'])}, clip {row['clip']}, {row['psnr']:.2f} dB</figcaption>"
        "</figure>"
        for name, row in chosen.items()
    )
    title = f"VidTwin evaluation of {_text(summary['model'])}"
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{_STYLE}</style></head>\n<body><h1>{title}</h1>\n<table>\n{rows}\n</table>\n{figures}\n"
        "</body></html>\n"
    )


def _text(value: object) -> str:
    return html.escape(str(value))


def write_report(out: Path, scores: Scores, summary: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Writes everything but the clips, and gives back the rows of the clips to show."""
    data, chosen = Dataset.from_list(scores.rows), chosen_clips(scores.rows)
    data.to_csv(str(out / "scores.csv"), index=False)
    data.to_parquet(str(out / "scores.parquet"))
    files = {
        "summary.json": json.dumps(summary, indent=1) + "\n",
        "table.md": table(summary) + "\n",
        "model_index.yaml": model_index(summary),
        "index.html": page(summary, chosen),
    }
    for name, content in files.items():
        (out / name).write_text(content, encoding="utf-8")
    return chosen
