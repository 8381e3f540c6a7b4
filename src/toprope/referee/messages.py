"""Messages between the run process and the hub: typed records on a `wire.Channel`.

Messages that a ledger or a vault also stores are in `recorded.py`; the messages here are never stored.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from toprope.executors.messages import Failed, Progress
from toprope.models.messages import SCRIPTED
from toprope.protocols import Secret
from toprope.referee.recorded import Answer, Opened
from toprope.stats.leak import RELEASE_SLOTS
from toprope.types import Candidate


class HubConfig(msgspec.Struct, frozen=True, tag=True):
    """rehearsal: replaces the random run secret; such a run certifies nothing. session_number: the last one that the
    run's ledger records, 0 without one; a number older than the vault's shows that the ledger is a copy. beacon_round:
    round of a public beacon whose value will help to decide the test draws, named before the climb. model: that
    candidates may ask on hidden draws. tokens: hard cap on that, None: no cap. total_token_cap: hard cap over all runs
    of the vault, None: no cap.
    """

    run: str
    task: str
    tier: str
    workers: int
    vault: str
    rehearsal: str | None = None
    session_number: int = 0
    beacon_round: str | None = None
    model: str = SCRIPTED
    tokens: int | None = None
    total_token_cap: int | None = None


class HubReady(msgspec.Struct, frozen=True, tag=True):
    """session_number: of this session, to be recorded and acknowledged. number: this run's place among the vault's runs
    on the task. detectable: gain in the unit of a draw's score that a gate slice resolves with power 0.8 at the 1,000th
    attempt, between candidates of the task's usual spread. secret: what hidden draws depend on besides their seeds.
    confined: the referee runs as another user. code: digest of its copy of the task. promotions_left: that the hidden
    data carry, if there is a finite amount of them; None: no limit.
    """

    commitment: str
    certifying: bool
    number: int
    vault_since: str
    secret: Secret | None
    protection: dict[str, Any]
    detectable: float
    session_number: int
    confined: bool = False
    code: str = ""
    promotions_left: int | None = None


class Acknowledge(msgspec.Struct, frozen=True, tag=True):
    """The run's ledger holds this session's number; a directory that presents an older one later is a copy."""

    session_number: int


class Attempt(msgspec.Struct, frozen=True, tag=True):
    """Candidate against champion on the open slice of val. base_delay_exponent: the first release slot of the answer is
    at tick_s * 2^base_delay_exponent seconds. release_slots: number of moments at which it may leave; work that misses
    the last one is ended."""

    candidate: Candidate
    base_delay_exponent: Annotated[int, msgspec.Meta(ge=0, le=12)] = 0
    release_slots: Annotated[int, msgspec.Meta(ge=1, le=RELEASE_SLOTS)] = RELEASE_SLOTS


class Commit(msgspec.Struct, frozen=True, tag=True):
    """The one candidate that the test will be opened for, named before the beacon's round. head: of the ledger that
    holds it."""

    candidate: str
    head: str


class Noted(msgspec.Struct, frozen=True, tag=True):
    """The vault holds the commitment."""


class Unseal(msgspec.Struct, frozen=True, tag=True):
    """Opens the test for the champion that the ledger has committed to. head: of the ledger with the commitment, kept
    by the vault. beacon: the value of the round that the run named, or None.
    """

    candidate: Candidate
    head: str = ""
    beacon: str | None = None


ToHub = Acknowledge | Attempt | Commit | Unseal
FromHub = HubReady | Progress | Answer | Noted | Opened | Failed
