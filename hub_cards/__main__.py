"""`python -m vidtwin.hub_cards DIR` writes the cards of the paper's scales and of the bundled model."""

from __future__ import annotations

import sys
from pathlib import Path

from vidtwin.configuration.presets import SCALES, vidtwin_config
from vidtwin.modeling_vidtwin import bundled_model

from .cards import for_repository, model_card, story


def write_cards(folder: Path) -> None:
    """Writes vidtwin-SCALE.md of each scale, and vidtwin-demo.md, the bundled model's own."""
    for scale in SCALES:
        text = model_card(f"org/vidtwin-{scale}", vidtwin_config(scale), story("scale", scale=scale))
        (folder / f"vidtwin-{scale}.md").write_text(text, encoding="utf-8")
    text = (bundled_model("demo") / "README.md").read_text(encoding="utf-8")
    (folder / "vidtwin-demo.md").write_text(for_repository(text, "org/vidtwin-demo"), encoding="utf-8")


if __name__ == "__main__":
    write_cards(Path(sys.argv[1]))
