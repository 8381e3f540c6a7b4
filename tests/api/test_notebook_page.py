"""docs/notebook.md: its cells run in order, and what the page shows below them is what comes."""

import re

import pytest

from tools.notebook import PAGE, cells, results
from toprope import Figure

pytestmark = pytest.mark.e2e


def words(shown: str) -> list[str]:
    """What does not change from run to run: neither numbers nor ids."""
    return re.findall(r"[A-Za-z_]{2,}", re.sub(r"\b[0-9a-f]{6,}\b", "", shown))


@pytest.mark.slow
def test_the_cells_run_and_show_what_the_page_says(tmp_path, monkeypatch):
    """Text by its words, figures by the file that stands beside the page."""
    monkeypatch.chdir(tmp_path)
    page = cells(PAGE.read_text(encoding="utf-8"))
    assert len(page) >= 8
    for cell, result in zip(page, results(page), strict=True):
        if isinstance(result, Figure):
            assert cell.file is not None
            assert words(result.svg) == words((PAGE.parent / cell.file).read_text(encoding="utf-8")), cell.code
        else:
            assert words(result) == words(cell.text or ""), cell.code
    assert not (tmp_path / "vault").exists(), "the vault of its own is used"
