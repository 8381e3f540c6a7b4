"""The data of a report page, as JSON inside the page, so that `verify` can check what the page claims.

The page may be older than the last entry of the ledger, and may come from another version. The data name the head of
the ledger at the time, and are compared with the ledger as it was then.
"""

from __future__ import annotations

import json
import re
from typing import Any

from toprope.journal.drawing import shown
from toprope.journal.export import decided, generation, summary
from toprope.journal.history import RunHistory
from toprope.version import __version__

_BLOCK = re.compile(r'<script type="application/json" id="toprope">(.*?)</script>', re.DOTALL)
CLAIMS = ("task", "champion", "test", "ledger")  # pages of every version have them


def data(s: RunHistory) -> dict[str, Any]:
    """Every figure of a run that a page shows, without the run's path, because a directory may be moved."""
    said = decided(s)
    found = {name: value for name, value in summary(s).items() if name != "run"}
    found["generations"] = [generation(g) for g in shown(s.generations)]
    found |= {name: said[name] for name in ("attempts", "answers", "notes", "commitment")}
    return {"toprope": __version__, **found}


def block(s: RunHistory) -> str:
    """The HTML element that holds the data. <, > and & are escaped, so that no text can end the element."""
    words = json.dumps(data(s), allow_nan=False, default=str)
    for c in "<>&":
        words = words.replace(c, f"\\u{ord(c):04x}")
    return f'<script type="application/json" id="toprope">{words}</script>'


def claimed(page: str) -> dict[str, Any] | None:
    """The data in a page; None for a page without data. Raises ValueError for data that cannot be read."""
    blocks = _BLOCK.findall(page)
    if not blocks:
        return None
    if len(blocks) > 1:
        raise ValueError("it holds its data twice")
    try:
        found = json.loads(blocks[0])
    except RecursionError:
        raise ValueError("its data are nested too deeply") from None
    if not isinstance(found, dict) or not found.keys() >= set(CLAIMS):
        raise ValueError(f"its data lack one of {', '.join(CLAIMS)}")
    return found


def differing(claim: dict[str, Any], s: RunHistory) -> list[str]:
    """Names of the figures that differ from the ledger's. A page of another version may have other fields; then only
    the fields that both versions know are compared."""
    ours = json.loads(json.dumps(data(s), allow_nan=False, default=str))
    same = claim.get("toprope") == __version__
    names = ours.keys() | claim.keys() if same else ours.keys() & claim.keys() - {"toprope"}
    return sorted(n for n in names if n not in ours or n not in claim or not _equal(ours[n], claim[n], same))


def _equal(ours: Any, theirs: Any, same: bool) -> bool:
    if isinstance(ours, dict) and isinstance(theirs, dict) and not same:
        return all(_equal(ours[k], theirs[k], same) for k in ours.keys() & theirs.keys())
    return bool(ours == theirs)


def visible(page: str) -> str:
    """The page without its data and its style."""
    return re.sub(r"<style>.*?</style>", "", _BLOCK.sub("", page), flags=re.DOTALL)


def style(page: str) -> list[str]:
    return re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
