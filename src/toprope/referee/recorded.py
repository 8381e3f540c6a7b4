"""What the referee says and a run's ledger or the vault keeps: answers, the opened test. (`models.messages.Reply` too.)

These records are archived. A field may be added with a default; any other change needs a new format of the ledger and a
way to read the old one (`journal/past.py`), or a message of its own in `messages.py`. A test holds their bytes.
"""

from __future__ import annotations

import msgspec

from toprope.models.messages import Reply
from toprope.stats.intervals import Estimate
from toprope.types import Floats, Incident


class Answer(msgspec.Struct, frozen=True, tag=True):
    """One bit. measured comes with a PROMOTE only, from a slice nobody had queried. tick: when it left."""

    candidate: str
    promoted: bool
    attempt: int
    slice: int
    measured: Estimate | None = None
    release_slot: int = msgspec.field(default=0, name="tick")  # stored under its older name


class RevealedVerdict(msgspec.Struct, frozen=True):
    """What stood behind one answer of the gate, revealed with the test: promoted where log_e reached level after so
    many draws. error: what ended the hidden work before that."""

    slice: int
    attempt: int
    candidate: str
    promoted: bool
    release_slot: int = msgspec.field(name="tick")
    log_e: float
    level: float
    draws: int
    error: str


class Opened(msgspec.Struct, frozen=True, tag=True):
    """The sealed result, the paired differences champion - baseline, the revealed run secret and verdicts, and what
    tripwires and honeypots saw of candidates on hidden draws, told now that the run is over: candidate -> incidents.
    replies: of the model that candidates asked on hidden draws."""

    champion: Estimate
    baselines: dict[str, Estimate]
    gains: dict[str, Estimate]
    opening: int
    draws: int
    secret: bytes
    cpu_s: float
    per_draw: Floats  # (draws,) the champion's normalised gain, so that dev can be compared with hidden draws
    gate: list[RevealedVerdict] = []
    beacon: str | None = None
    incidents: dict[str, list[Incident]] = {}
    replies: list[Reply] = []
