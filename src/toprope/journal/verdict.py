"""What the incidents seen of a candidate say of it, by one rule for `submit`, for a run's champion and for exports.

Only proof accuses: an advisory incident is a sign, it is told and changes no verdict by itself. Overfit is measured,
and overfit with a sign of answers learned by heart is called what it is.
"""

from __future__ import annotations

from collections.abc import Iterable

TABLE = "table"  # an advisory incident of ours (`run/audit.py`): the candidate's files hold one that looks like answers


def verdict(seen: Iterable[tuple[str, str]], answer_kinds: Iterable[str]) -> str:
    """clean, overfit, hardcoded or cheating. seen: (kind, severity) of every incident. answer_kinds: the task's kinds
    that, when proved, say: it carries answers to practice cases."""
    answers = set(answer_kinds)
    found = set(seen)
    kinds = {kind for kind, _ in found}
    proved = {kind for kind, severity in found if severity == "certain"}
    if proved:
        return "hardcoded" if proved & answers else "cheating"
    if "overfit" in kinds:
        return "hardcoded" if kinds & {*answers, TABLE} else "overfit"
    return "clean"
