"""Model cards, filled from a model's configuration and from the JSON that a measuring command wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vidtwin.configuration.configuration_vidtwin import VidTwinConfig

TEMPLATES = Path(__file__).parent / "templates"


def demo_card(config: VidTwinConfig, facts: dict[str, Any], quality: dict[str, Any] | None) -> str:
    """The bundled demo model's card as Markdown.

    facts: parameters, dtype, clips (how many it was trained on), losses. quality:
    what `benchmarks.demo_quality` wrote; None says so.
    """
    text = (TEMPLATES / "demo.md").read_text(encoding="utf-8")
    return text.format(
        **facts,
        **_shapes(config),
        quality="Not measured." if quality is None else quality_table(quality),
    )


def trained_card(
    config: VidTwinConfig, repo: str, facts: dict[str, Any], results: dict[str, float], license: str = "other"
) -> str:
    """The card of a model that was just trained, as Markdown.

    repo: its Hub id or folder. facts: `parameters` and, by the name to show, how it was trained. results:
    what was measured, by name; none says so.
    """
    text = (TEMPLATES / "trained.md").read_text(encoding="utf-8")
    told = [f"- {name}: {value}" for name, value in facts.items() if name != "parameters"]
    measured = [f"- {name}: {value:.4g}" for name, value in results.items()]
    return text.format(
        **_shapes(config),
        name=repo.rsplit("/", 1)[-1],
        repo=repo,
        license=license,
        parameters=facts["parameters"],
        training="\n".join(told),
        results="\n".join(measured) or "Not measured.",
    )


def _shapes(config: VidTwinConfig) -> dict[str, Any]:
    return {
        "num_frames": config.num_frames,
        "image_size": config.image_size,
        "structure_shape": config.structure_shape,
        "dynamics_shape": config.dynamics_shape,
        "num_latents": config.num_latents,
        "rate": config.compression_rate,
    }


def quality_table(quality: dict[str, Any]) -> str:
    """What `benchmarks.demo_quality` wrote as Markdown: mean PSNR of the model and its two baselines."""
    rows = [f"| {label} | {quality['mean_psnr'][name]:.2f} |" for name, label in QUALITY_ROWS.items()]
    head = (
        f"PSNR in dB on {quality['num_videos']} real videos whose source was not in training "
        f"({quality['protocol']}):"
    )
    return "\n".join([head, "", "| | PSNR |", "|---|---|", *rows])


QUALITY_ROWS = {
    "model": "this model, as stored",
    "bicubic": "bicubic to 10x10 pixels a frame and back (4,800 numbers)",
    "mean_colour": "each frame's mean colour",
}
