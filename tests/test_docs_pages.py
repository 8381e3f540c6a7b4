"""The form of the pages: what a reader finds at the top of a task's page, and that what a page names exists."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = ["README.md", "CONTRIBUTING.md", *(p.relative_to(ROOT).as_posix() for p in (ROOT / "docs").rglob("*.md"))]
TASKS = sorted(p.name for p in (ROOT / "docs" / "tasks").glob("*.md") if p.name != "README.md")


@pytest.mark.parametrize("name", TASKS)
def test_a_task_begins_with_what_why_and_how(name):
    """How to run it, what it is and why stand before the first heading. The page has a figure and a table."""
    text = (ROOT / "docs" / "tasks" / name).read_text(encoding="utf-8")
    top = text.partition("\n## ")[0]
    assert re.match(r"# .*\n\n    \S", text), "commands come first"
    for mark in ("**What.**", "**Why.**"):
        assert mark in top, f"{mark} is missing at the top"
    for figure in re.findall(r"^!\[.+\]\((.+)\)$", text, re.M) or ["no figure"]:
        assert (ROOT / "docs" / "tasks" / figure).is_file(), figure
    assert re.search(r"^\|---", text, re.M), "no table"


@pytest.mark.parametrize("page", PAGES)
def test_files_that_a_page_names_exist(page):
    """In code spans, as paths from the root of the repository."""
    text = (ROOT / page).read_text(encoding="utf-8")
    for place in re.findall(r"`[^`\n]*?\b((?:tests|studies|tools)/[\w./-]+)", text):
        assert (ROOT / place.rstrip(".")).exists(), place
