"""How a cheat ended, compared with how it had to end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from toprope.assay.redteam.corpus import ENDS, FLAGS, Cheat
from toprope.types import Incident, Outcome


class CheatVerdict(msgspec.Struct, frozen=True):
    """observed: `pays`, an end of the corpus, `not run`, or `blind` if the strategy could not have paid off, which is a
    failure. twin_ok: the honest twin was not flagged and its score is unchanged. twin: what is wrong with the twin.
    where: the task that it ran on. seconds: wall time."""

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
        """Whether the end is expected; a stronger flag than expected is allowed."""
        end, _, flag = self.observed.partition("+")
        weaker = FLAGS[: FLAGS.index(f"+{flag}" if flag else "") + 1] if end in ENDS else ()
        return any(end + flag in self.cheat.expect for flag in weaker)

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


def end(outcome: Outcome, incidents: Sequence[Incident]) -> str:
    """The end for an experiment's outcome, with its flag from incidents of tripwires and honeypots."""
    name = {Outcome.OK: "no gain", Outcome.INVALID: "rejected"}.get(outcome, "blocked")
    return name + flag(incidents)


def flag(incidents: Sequence[Incident]) -> str:
    severities = {incident.severity for incident in incidents}
    return "+flagged" if "certain" in severities else "+noted" if severities else ""
