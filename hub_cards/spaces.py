"""The metrics as Spaces of the Hub, for evaluate.load("org/fvd")."""

from __future__ import annotations

import html
import re
from pathlib import Path

from vidtwin.metrics.hub_names import path

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{name}</title></head>
<body style="font-family: system-ui, sans-serif; max-width: 50rem; margin: 2rem auto; padding: 0 1rem">
<pre style="white-space: pre-wrap">{text}</pre>
</body></html>
"""


def metric_space(name: str, repo: str) -> dict[str, Path | bytes]:
    """The files of a metric's Space by their names: script, card, a page that shows the card.

    repo: the Space's id, for the card's example. Raises ValueError for an unknown metric.
    """
    folder = Path(path(name))
    card = (folder / "README.md").read_text(encoding="utf-8")
    card = card.replace(f'evaluate.load("{name}"', f'evaluate.load("{repo}"')
    card = re.sub(r"^import vidtwin\.metrics  #.*\n", "# pip install vidtwin\n", card, flags=re.MULTILINE)
    body = card.split("---\n", 2)[-1].strip()
    page = _PAGE.format(name=html.escape(name), text=html.escape(body))
    return {f"{name}.py": folder / f"{name}.py", "README.md": card.encode(), "index.html": page.encode()}
