"""What a measuring command wrote, as tables and as the `model-index` of a card."""

from __future__ import annotations

from typing import Any

import yaml
from huggingface_hub import EvalResult, ModelCardData

LABELS = {"psnr": "PSNR (dB)", "ssim": "SSIM", "lpips": "LPIPS", "fvd": "FVD"}
QUALITY_ROWS = {
    "model": "this model, as stored",
    "bicubic": "bicubic to 10x10 pixels a frame and back (4,800 numbers)",
    "mean_colour": "each frame's mean colour",
}


def labelled(summary: dict[str, Any]) -> list[tuple[str, float]]:
    """The metrics by the names to show, with the network and the number of clips where these differ.

    summary: what `vidtwin evaluate` wrote, also below.
    """
    more = {"lpips": f", {summary['lpips_net']}", "fvd": f", I3D, n {summary['metrics'].get('fvd_clips')}"}
    return [
        (LABELS[name] + more.get(name, ""), value)
        for name, value in summary["metrics"].items()
        if name in LABELS
    ]


def results_table(summary: dict[str, Any]) -> str:
    """The figures as a Markdown table, with the protocol below."""
    named = labelled(summary)
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


def eval_results(summary: dict[str, Any]) -> list[EvalResult]:
    """The figures as huggingface_hub's card entries."""
    return [
        EvalResult(
            task_type="video-to-video",
            dataset_type="video",
            dataset_name=summary["data"].rstrip("/").rsplit("/", 1)[-1] or "videos",
            metric_type=name,
            metric_name=LABELS[name],
            metric_value=value,
            metric_args=_metric_args(summary, name),
        )
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
    name = summary["model"].rstrip("/").rsplit("/", 1)[-1]
    card = ModelCardData(model_name=name, eval_results=eval_results(summary))
    return yaml.safe_dump({"model-index": card.to_dict()["model-index"]}, sort_keys=False)


def quality_table(quality: dict[str, Any]) -> str:
    """What `benchmarks.demo_quality` wrote as Markdown: mean PSNR of the model and its two baselines."""
    rows = [f"| {label} | {quality['mean_psnr'][name]:.2f} |" for name, label in QUALITY_ROWS.items()]
    head = (
        f"PSNR in dB on {quality['num_videos']} real videos whose source was not in training "
        f"({quality['protocol']}):"
    )
    return "\n".join([head, "", "| | PSNR |", "|---|---|", *rows])
