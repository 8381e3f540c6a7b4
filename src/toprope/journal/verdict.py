"""The verdict on a candidate from its incidents: one rule for `submit`, for a run's champion and for exports.

Only proof leads to an accusation: an advisory incident is shown, but does not change the verdict by itself. Overfit is
measured; an overfit candidate with an advisory sign of memorised answers is called hardcoded.
"""

from __future__ import annotations

from collections.abc import Iterable

TABLE = "table"  # the advisory incident of `run/audit.py` about files that hold what looks like a table of answers


def verdict(seen: Iterable[tuple[str, str]], answer_kinds: Iterable[str]) -> str:
    """clean, overfit, hardcoded or cheating. seen: (kind, severity) of every incident. answer_kinds: the task's
    incident kinds which, if certain, prove that a candidate carries answers to practice cases."""
    answers = set(answer_kinds)
    found = set(seen)
    kinds = {kind for kind, _ in found}
    proved = {kind for kind, severity in found if severity == "certain"}
    if proved:
        return "hardcoded" if proved & answers else "cheating"
    if "overfit" in kinds:
        return "hardcoded" if kinds & {*answers, TABLE} else "overfit"
    return "clean"
