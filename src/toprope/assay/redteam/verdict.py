"""How a cheat ended, beside how it had to end."""

from __future__ import annotations

from typing import Any

import msgspec

from toprope.assay.redteam.corpus import Cheat
from toprope.types import Outcome


class Verdict(msgspec.Struct, frozen=True):
    """observed: `pays`, an end of the corpus, or `not run`. evidence: what was seen. twin_ok: the honest twin passed
    unflagged with its score unchanged. twin: what was wrong with it. where: the task it ran on. seconds: wall time."""

    cheat: Cheat
    observed: str
    evidence: str
    twin_ok: bool = True
    twin: str = ""
    where: str = ""
    seconds: float = 0.0

    @property
    def pays(self) -> bool:
        return self.observed == "pays"

    @property
    def as_expected(self) -> bool:
        """A flag more than was asked for is no worse end."""
        return self.observed in self.cheat.expect or self.observed.removesuffix("+flagged") in self.cheat.expect

    @property
    def ok(self) -> bool:
        return self.observed == "not run" or (self.as_expected and self.twin_ok)

    def as_json(self) -> dict[str, Any]:
        c = self.cheat
        return {
            "id": c.id,
            "class": c.cls,
            "title": c.title,
            "meets": list(c.meets),
            "expected": " | ".join(c.expect),
            "observed": self.observed,
            "evidence": self.evidence,
            "ok": self.ok,
            "twin_ok": self.twin_ok,
            "twin": self.twin,
            "where": self.where,
            "seconds": round(self.seconds, 2),
        }


def end(outcome: Outcome, certain: bool) -> str:
    """The end that an experiment's outcome is; flagged if it left an incident that is proof."""
    name = {Outcome.OK: "no gain", Outcome.INVALID: "rejected"}.get(outcome, "blocked")
    return f"{name}+flagged" if certain else name
