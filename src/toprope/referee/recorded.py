"""Messages of the referee that a ledger or the vault stores: answers, the opened test (and `models.messages.Reply`).

These records are archived. A field may be added with a default; any other change needs a new format of the ledger and a
way to read the old one (`journal/past.py`), or a message of its own in `messages.py`. A test holds their bytes.
"""

from __future__ import annotations

import msgspec

from toprope.models.messages import Reply
from toprope.stats.intervals import Estimate
from toprope.types import Floats, Incident


class Answer(msgspec.Struct, frozen=True, tag=True):
    """One bit. measured: only with a PROMOTE, from a slice that was never queried before. release_slot: number of the
    slot at which the answer left."""

    candidate: str
    promoted: bool
    attempt: int
    slice: int
    measured: Estimate | None = None
    release_slot: int = msgspec.field(default=0, name="tick")  # stored under its older name


class RevealedVerdict(msgspec.Struct, frozen=True):
    """The evidence behind one answer of the gate, revealed with the test: promoted if log_e reached level after `draws`
    draws. error: what ended the hidden work before that, or ""."""

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
    """The result of the sealed test. gains: the paired differences champion - baseline. opening: number of openings of
    this test by the vault's runs. secret, gate: the revealed run secret and verdicts. incidents: candidate -> incidents
    on hidden draws, revealed now that the run is over. replies: of the model that candidates asked on hidden draws."""

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
