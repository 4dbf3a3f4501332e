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
from datasets import Dataset

from vidtwin.hub_cards.results import LABELS, labelled, model_index, results_table
from vidtwin.metrics.frechet import frechet_distance, frechet_interval
from vidtwin.modeling_vidtwin.picture import side_by_side
from vidtwin.modeling_vidtwin.video_io import VideoWriter

from .clip_scores import Scorer
from .protocols import fvd_note
from .score_run import Scores
from .sources import Video

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
    limit, refused = facts.get("limit"), len(scores.refused)
    notes = [
        fvd_note(len(scores.predictions)) if facts["fvd_net"] else None,
        f"Of the first {limit:,} videos only." if limit else None,
        f"{refused:,} of the videos could not be read; summary.json names them." if refused else None,
    ]
    return {
        **{name: value for name, value in facts.items() if name != "cost"},
        "notes": [note for note in notes if note],
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
        *((label, f"{value:.4g}") for label, value in labelled(summary)),
        *(("note", note) for note in summary["notes"]),
        *(("refused", f"{each['video']}: {each['reason']}") for each in summary["refused"]),
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
        "table.md": results_table(summary) + "\n",
        "model_index.yaml": model_index(summary),
        "index.html": page(summary, chosen),
    }
    for name, content in files.items():
        (out / name).write_text(content, encoding="utf-8")
    return chosen
