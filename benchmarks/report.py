"""Puts the measured tables into README.md, from the JSON files that the benchmarks wrote.

`python -m benchmarks.report [PAGE]` fills what lies between the marks `<!-- NAME:start -->` and
`<!-- NAME:end -->` for the names demo-quality, speed, step and loader.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks import bench, loader, step_time
from vidtwin.hub_cards.results import quality_table

# Name of the marks, files in docs/, and what makes a table of one of them.
TABLES: dict[str, tuple[str, Callable[[dict], str]]] = {
    "demo-quality": ("demo_quality.json", quality_table),
    "speed": ("bench/*-speed.json", bench.table),
    "step": ("bench/*-step.json", step_time.table),
    "loader": ("bench/*-loader.json", loader.table),
}


def put_between_marks(content: str, name: str, text: str) -> str:
    """The page with `text` between the marks of `name`. Raises ValueError for a page without them."""
    marks = f"<!-- {name}:start -->", f"<!-- {name}:end -->"
    before, first, rest = content.partition(marks[0])
    _, last, after = rest.partition(marks[1])
    if not (first and last):
        raise ValueError(f"the page must have the lines {marks[0]} and {marks[1]}.")
    return f"{before}{first}\n{text}\n{last}{after}"


def report(content: str, docs: Path) -> str:
    """The page with a table for every file of measurements in `docs`."""
    for name, (pattern, table) in TABLES.items():
        found = [json.loads(file.read_text(encoding="utf-8")) for file in sorted(docs.glob(pattern))]
        if found:
            content = put_between_marks(content, name, "\n\n".join(map(table, found)))
    return content


def main(arguments: Sequence[str] | None = None) -> None:
    """The command `python -m benchmarks.report`."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.report", description=__doc__)
    parser.add_argument("page", type=Path, nargs="?", default=Path("README.md"))
    parser.add_argument("--docs", type=Path, default=Path("docs"), help="where the JSON files lie")
    given = parser.parse_args(arguments)
    page = report(given.page.read_text(encoding="utf-8"), given.docs)
    given.page.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
