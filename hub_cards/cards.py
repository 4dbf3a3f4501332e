"""Model cards, filled from a model's configuration and from the JSON that a measuring command wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vidtwin.configuration.configuration_vidtwin import VidTwinConfig

TEMPLATES = Path(__file__).parent / "templates"


def demo_card(config: VidTwinConfig, facts: dict[str, Any], quality: dict[str, Any] | None) -> str:
    """The bundled demo model's card as Markdown.

    facts: parameters, dtype, steps, batch_size. quality: what `benchmarks.demo_quality` wrote; None says so.
    """
    text = (TEMPLATES / "demo.md").read_text(encoding="utf-8")
    return text.format(
        **facts,
        num_frames=config.num_frames,
        image_size=config.image_size,
        structure_shape=config.structure_shape,
        dynamics_shape=config.dynamics_shape,
        num_latents=config.num_latents,
        rate=config.compression_rate,
        quality="Not measured." if quality is None else _quality(quality),
    )


def _quality(quality: dict[str, Any]) -> str:
    """Mean PSNR of the model and its two baselines as a small table."""
    means = quality["mean_psnr"]
    rows = [f"| {name} | {means[key]:.2f} |" for key, name in _ROWS.items()]
    head = (
        f"PSNR in dB on {quality['num_videos']} real videos whose source was not in training "
        f"({quality['protocol']}):"
    )
    return "\n".join([head, "", "| | PSNR |", "|---|---|", *rows])


_ROWS = {
    "model": "this model, as stored",
    "bicubic": "bicubic to 10x10 pixels a frame and back (4,800 numbers)",
    "mean_colour": "each frame's mean colour",
}
