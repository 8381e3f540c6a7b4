"""What the incidents seen of a candidate say of it, by one rule for `submit`, for a run's champion and for exports.

Only proof accuses: an advisory incident is a sign, it is told and changes no verdict by itself. Overfit is measured,
and overfit with a sign of answers learned by heart is called what it is.
"""

from __future__ import annotations

from collections.abc import Iterable

ANSWERS = frozenset({"errata", "dual gap"})  # kinds that, when proved, say: it carries answers to practice cases
SIGNS = ANSWERS | {"table"}


def verdict(seen: Iterable[tuple[str, str]]) -> str:
    """clean, overfit, hardcoded or cheating. seen: (kind, severity) of every incident."""
    found = set(seen)
    kinds = {kind for kind, _ in found}
    proved = {kind for kind, severity in found if severity == "certain"}
    if proved:
        return "hardcoded" if proved & ANSWERS else "cheating"
    if "overfit" in kinds:
        return "hardcoded" if kinds & SIGNS else "overfit"
    return "clean"
