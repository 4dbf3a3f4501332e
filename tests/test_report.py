"""The README's tables are those of the files that the benchmarks wrote."""

import json
from pathlib import Path

import pytest

from benchmarks.report import TABLES, main, put_between_marks, report

ROOT = Path(__file__).parents[1]


def test_only_what_lies_between_the_marks_changes():
    page = "before\n<!-- step:start -->\nold\n<!-- step:end -->\nafter\n"
    new = "before\n<!-- step:start -->\nnew\n<!-- step:end -->\nafter\n"
    assert put_between_marks(page, "step", "new") == new


@pytest.mark.parametrize("page", ["", "<!-- step:start -->", "<!-- step:end --><!-- step:start -->"])
def test_a_page_without_both_marks_is_refused(page):
    with pytest.raises(ValueError, match="must have the lines <!-- step:start -->"):
        put_between_marks(page, "step", "new")


def test_every_machine_has_its_table(tmp_path):
    (tmp_path / "docs" / "bench").mkdir(parents=True)
    for name, seconds in (("one", 1.5), ("two", 2.5)):
        facts = {"machine": name, "recipe": "demo", "batch_size": 2, "seconds": {"data": seconds}}
        (tmp_path / "docs" / "bench" / f"{name}-step.json").write_text(json.dumps(facts))
    page = tmp_path / "page.md"
    page.write_text("<!-- step:start --><!-- step:end -->")
    main([str(page), "--docs", str(tmp_path / "docs")])
    text = page.read_text()
    assert "on one: 1.50 s" in text and "| data | 2.50 | 100% |" in text


def test_the_readme_shows_the_measured_numbers():
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    assert all(f"<!-- {name}:start -->" in page for name in TABLES)
    assert report(page, ROOT / "docs") == page
