"""The records in a ledger: one type per kind of entry. All later output about a run is computed from them."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from toprope import wire
from toprope.errors import RunError
from toprope.executors.messages import Node
from toprope.journal import past
from toprope.journal.spec import RunSpec
from toprope.models.messages import Reply
from toprope.protocols import Entry, Secret
from toprope.referee.recorded import Answer, Opened
from toprope.space import Space
from toprope.types import Candidate, Codes, Floats, Incident, Tree, certain

FORMAT = 7  # of the records in a ledger; `past.py` reads the earlier ones


class Opening(msgspec.Struct, frozen=True, kw_only=True):
    """kind "open", before the climb: the spec, and facts from the start of the run. toprope: version. tier: of the
    sandbox. commitment: of the referee to its secret. number: of the certifying run. hidden: name of the task's secret.
    detectable: normalised gain that the gate resolves. floors, ceilings: (dev draws,). started: seconds since the
    epoch. confined: the referee runs as another user."""

    spec: RunSpec
    toprope: str
    tier: str
    commitment: str
    certifying: bool
    number: int
    vault_since: str
    hidden: str
    detectable: float
    protection: dict[str, Any]
    floors: Floats
    ceilings: Floats
    tree: Tree
    space: Space
    started: float
    confined: bool = False
    promotions_left: int | None = None  # at the start, for hidden data of which there is a finite amount
    dev_partial_credit: bool = msgspec.field(default=False, name="partial")  # hidden scores give none
    secret: Secret | None = None  # the task's secret; None if it has none, and in runs older than this field
    answer_kinds: list[str] = []  # declared by the task (`TaskSpec`)
    mark: dict[str, str] = {}  # digests of the task's behaviour (`tasks/mark.py`); {} before format 2
    remembered: int | None = None  # proposals whose results the climb remembers at least; None: all
    format: int = FORMAT  # of the ledger's records; reading depends on it, never on the version of toprope

    def candidate(self, block: BlockRecord, i: int) -> Candidate:
        """The i-th candidate of a block that begins its experiments."""
        if block.author is not None:
            return block.author.candidate
        return Candidate(self.tree, self.space.decode(block.rows[i]))

    @property
    def kept(self) -> Secret | None:
        """The task's secret; for a run older than the field `secret`, made from the secret's name."""
        if self.secret is not None or not self.hidden:
            return self.secret
        remedy = f"toprope vault make {self.spec.task}"
        return Secret("secret", self.hidden, public=self.hidden.startswith("public"), remedy=remedy)


class SessionRecord(msgspec.Struct, frozen=True):
    """kind "sitting": the number that the vault gave to this session. A directory whose last number is too old is a
    copy. toprope, code: version of toprope and digest of the task's code in this session."""

    number: int
    toprope: str = ""
    code: str = ""


class Author(msgspec.Struct, frozen=True):
    """The author of an experiment whose candidate does not come from the run's space. parent: id of the candidate it
    was made from, "" if the author names no parent."""

    name: str
    candidate: Candidate
    parent: str = ""


class BlockRecord(msgspec.Struct, frozen=True):
    """kind "block": scores (k, hi - lo) of k experiments on dev draws lo..hi-1, exactly once per id. rows: (k, p) where
    it begins its experiments, else (0, p). author: of a block of one whose candidate is not a point of the run's space;
    its row is then meaningless."""

    id: str
    experiments: NDArray[np.uint32]
    lo: int
    hi: int
    rows: Codes
    scores: NDArray[np.float32]
    outcomes: dict[int, str]  # position in the block -> what is not ok
    messages: dict[int, str]
    cpu_s: float
    wall_s: float
    incidents: dict[int, list[Incident]] = {}  # position in the block -> of tripwires and honeypots
    author: Author | None = None
    node: Node | None = None  # that scored it; None: this machine
    first_draw: int = 0  # that its experiments saw first; draw 0 follows the last one; 0 before format 6

    @property
    def begins(self) -> bool:
        """Whether its experiments had seen no draw before."""
        return self.lo == self.first_draw

    def before(self, draws: int) -> int:
        """How many draws its experiments had seen before, of so many dev draws."""
        return (self.lo - self.first_draw) % draws


class Generation(msgspec.Struct, frozen=True):
    """kind "generation": a barrier. experiments: number so far. elapsed: seconds of climbing so far, over all sessions.
    best: highest dev value so far. pruned: experiments stopped early. cached: proposals seen before."""

    number: int
    experiments: int
    elapsed: float
    best: float | None
    best_experiment: int | None
    pruned: int
    cached: int


class AttemptRecord(msgspec.Struct, frozen=True):
    """kind "attempt": sent to the gate, if clean. pure: a re-run in isolation gave the same dev scores.
    base_delay_exponent: of the release schedule, chosen from the re-run's cost. incidents: of the re-run. author: the
    sender, "" in a climb without authors. run_experiments: experiments of the run at that time."""

    candidate: Candidate
    experiment: int
    dev: float
    pure: bool
    base_delay_exponent: int = msgspec.field(default=0, name="pace")  # stored under its older name
    incidents: list[Incident] = []
    author: str = ""
    run_experiments: int = msgspec.field(default=0, name="made")

    @property
    def clean(self) -> bool:
        return self.pure and not certain(self.incidents)


class FinalsRecord(msgspec.Struct, frozen=True):
    """kind "finals": before an attempt, the champion and then the best candidates on practice draws that no experiment
    has seen. number: from 1, also of the slice of dev. scores: (k, draws), NaN where a candidate failed."""

    number: int
    experiments: NDArray[np.uint32]
    scores: NDArray[np.float32]


class Audited(msgspec.Struct, frozen=True):
    """kind "audit": advisory incidents from a promoted candidate's files and its dev scores with other seeds."""

    candidate: str
    incidents: list[Incident]


class Finding(msgspec.Struct, frozen=True):
    """kind "finding": what an author told the others. text: its own words, which are hostile text. candidate: id of a
    candidate of the run, or ""; its figures come from the blocks."""

    number: int
    author: str
    kind: str
    text: str
    candidate: str = ""


NOTE_MAX = 1000  # characters of a note


class Note(msgspec.Struct, frozen=True):
    """kind "note": what the run's operator told its authors while they worked, recorded before anybody was shown it.
    number: from 1. to: name of an author, "" for all. id: name of the file in which it came. sent: seconds since the
    epoch. experiments: of the run when it was recorded."""

    number: int
    to: str
    text: str
    id: str
    sent: float
    experiments: int


class Spent(msgspec.Struct, frozen=True):
    """kind "spent": what an author's conversation has used since its last entry. dollars: by the model's price list, 0
    without one. conversation: name of its transcript. elapsed: seconds of work on the run by then, over all sessions;
    authors may think for hours between two experiments."""

    author: str
    tokens: int
    dollars: float
    conversation: str
    elapsed: float = 0.0


class Ended(msgspec.Struct, frozen=True):
    """kind "ended": an author's work in this session is over. why: finished, tokens, dollars, time, experiments,
    fruitless or error. A colon and a provider's words may follow, which are hostile text."""

    author: str
    why: str


class Queried(msgspec.Struct, frozen=True):
    """kind "query": an author asked the oracle of a task. bytes: of the answer. seconds: that it took."""

    author: str
    bytes: int
    seconds: float


class Committed(msgspec.Struct, frozen=True):
    """kind "commit": the one candidate that the sealed test will be opened for, recorded before it is opened."""

    candidate: str


KINDS: dict[str, type[msgspec.Struct]] = {
    "ask": RunSpec,
    "open": Opening,
    "sitting": SessionRecord,
    "block": BlockRecord,
    "generation": Generation,
    "attempt": AttemptRecord,
    "answer": Answer,
    "finals": FinalsRecord,
    "audit": Audited,
    "finding": Finding,
    "note": Note,
    "spent": Spent,
    "query": Queried,
    "ended": Ended,
    "reply": Reply,
    "commit": Committed,
    "test": Opened,
}


KIND_OF = {of: kind for kind, of in KINDS.items()}


def kind_of(record: msgspec.Struct) -> str:
    """The kind of a record's entry. Raises KeyError for a type that is not recorded."""
    return KIND_OF[type(record)]


def record(entry: Entry) -> Any:
    """The entry's body as a record of its kind's type. Raises RunError for a kind or form that this version does not
    know."""
    try:
        return wire.decode(past.modern(entry.kind, entry.body), KINDS[entry.kind])
    except (KeyError, ValueError, msgspec.MsgspecError) as e:
        raise RunError(
            f"ledger entry {entry.seq} of kind {entry.kind!r} cannot be read by this version of toprope ({e}); "
            "use the version that made the run"
        ) from e
