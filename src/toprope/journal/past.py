"""Records of earlier ledger formats, read as today's. A run stays readable for as long as its form stands here.

Format 1 (until November 2026): a climber was a word ("evolution", "replay:FILE", "llm:MODEL", "external"), and what
authors may do stood beside it as `plan`. Until then, too, a run did not record which of its task's incidents prove that
a candidate carries answers: those of all tasks are `ANSWER_KINDS`.
"""

from __future__ import annotations

import msgspec

from toprope import wire
from toprope.journal.spec import Climbing, External, Plan, Replay, Researchers, Search

ANSWER_KINDS = ["errata", "dual gap"]


def modern(kind: str, body: bytes) -> bytes:
    """The entry's body in today's form. Raises what `wire.decode` raises for a body of no form."""
    if kind not in ("ask", "open"):
        return body
    fields = wire.decode(body, dict[str, msgspec.Raw])
    if kind == "open":
        fields.setdefault("answer_kinds", msgspec.Raw(wire.encode(ANSWER_KINDS)))
    climber = wire.decode(fields["climber"])
    if not isinstance(climber, str):
        return wire.encode(fields)
    plan = wire.decode(fields.pop("plan", msgspec.Raw(wire.encode(None))), Plan | None)
    return wire.encode({**fields, "climber": _climber(climber, plan)})


def _climber(name: str, plan: Plan | None) -> Climbing:
    kind, _, rest = name.partition(":")
    if kind == "llm":
        return Researchers(plan or Plan(rest))
    if kind == "external":
        return External(plan or Plan())
    return Replay(rest) if kind == "replay" else Search(name)
