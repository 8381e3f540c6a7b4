"""Reads records of earlier ledger formats as today's. Every format that is described here stays readable.

Format 1 (until November 2026): a climber was a word ("evolution", "replay:FILE", "llm:MODEL", "external"), and the
quotas of authors were a field `plan` beside it. The opening holds neither the format nor the incident kinds that prove
that a candidate carries answers; `ANSWER_KINDS` holds those of all tasks of that time.
Format 2 (November 2026): the opening repeated the fields of the spec beside its own, and the model that candidates may
ask was called `asks`.
Formats 3 to 6 differ from today's in no record that is read here, but in the rules of a climb (`run/session.py`).

The form is recognised by an entry's own fields, not by the ledger's format, because a resumed run of an earlier format
continues in today's.
"""

from __future__ import annotations

from typing import Any

import msgspec

from toprope import wire
from toprope.journal.spec import Climbing, External, Plan, Replay, Researchers, RunSpec, Search

Fields = dict[str, Any]  # of one record, undecoded

ANSWER_KINDS = ["errata", "dual gap"]


def modern(kind: str, body: bytes) -> bytes:
    """The entry's body in today's form. Raises what `wire.decode` raises for a body in an unknown form."""
    if kind not in ("ask", "open"):
        return body
    fields: Fields = wire.decode(body, dict[str, msgspec.Raw])
    if "spec" in fields or "candidate_model" in fields:
        return body
    if kind == "open":
        fields.setdefault("answer_kinds", msgspec.Raw(wire.encode(ANSWER_KINDS)))
    fields["candidate_model"] = fields.pop("asks", NONE)
    climber = wire.decode(fields["climber"])
    if isinstance(climber, str):
        fields["climber"] = _climber(climber, wire.decode(fields.pop("plan", NONE), Plan | None))
    if kind == "open":
        spec = {name: fields.pop(name) for name in RunSpec.__struct_fields__ if name in fields}
        fields = {"format": 1, **fields, "spec": spec}
    return wire.encode(fields)


NONE = msgspec.Raw(wire.encode(None))


def _climber(name: str, plan: Plan | None) -> Climbing:
    kind, _, rest = name.partition(":")
    if kind == "llm":
        return Researchers(plan or Plan(rest))
    if kind == "external":
        return External(plan or Plan())
    return Replay(rest) if kind == "replay" else Search(name)
