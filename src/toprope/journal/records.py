"""What stands in a ledger: one typed record per kind of entry. Everything a run tells later is read from these."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from toprope import wire
from toprope.errors import RunError
from toprope.journal import past
from toprope.journal.spec import RunSpec
from toprope.models.messages import Reply
from toprope.protocols import Entry, Secret
from toprope.referee.recorded import Answer, Opened
from toprope.space import Space
from toprope.types import Candidate, Codes, Floats, Incident, Tree, certain

FORMAT = 3  # of the records in a ledger; `past.py` reads the earlier ones


class Opening(msgspec.Struct, frozen=True, kw_only=True):
    """kind "open", before anything is climbed: what was asked for, and what the run found when it began, with the
    referee's commitment. detectable: normalised gain that the gate resolves. started: seconds since the epoch."""

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
    dev_partial_credit: bool = msgspec.field(default=False, name="partial")  # hidden scores give none
    secret: Secret | None = None  # what `hidden` names; None if nothing, and in runs that are older than this field
    answer_kinds: list[str] = []  # as its task declares them (`TaskSpec`)
    mark: dict[str, str] = {}  # what the task did then (`tasks/mark.py`); {} before format 2
    format: int = FORMAT  # of the ledger's records; the version that wrote them is told, and decides nothing

    @property
    def kept(self) -> Secret | None:
        """What the task kept to itself; of a run that is older than `secret`, as far as its name tells."""
        if self.secret is not None or not self.hidden:
            return self.secret
        remedy = f"toprope vault make {self.spec.task}"
        return Secret("secret", self.hidden, public=self.hidden.startswith("public"), remedy=remedy)


class SessionRecord(msgspec.Struct, frozen=True):
    """kind "sitting": the number the vault gave to this sitting. A directory whose last number is old is a copy.
    toprope, code: the version and the digest of the task's code that worked in it."""

    number: int
    toprope: str = ""
    code: str = ""


class Author(msgspec.Struct, frozen=True):
    """Whose experiment it is, where candidates come from authors and not from the run's space. parent: id of the
    candidate it was made from, "" if none is named."""

    name: str
    candidate: Candidate
    parent: str = ""


class BlockRecord(msgspec.Struct, frozen=True):
    """kind "block": experiments' scores on dev draws lo..hi-1, exactly once per id. rows only in the first rung.
    author: of a block of one whose candidate is not in the run's space; its row then has no meaning."""

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
    incidents: dict[int, list[Incident]] = {}  # position in the block -> what tripwires and honeypots saw
    author: Author | None = None


class Generation(msgspec.Struct, frozen=True):
    """kind "generation": a barrier. elapsed: seconds of climbing so far, over all sittings."""

    number: int
    experiments: int
    elapsed: float
    best: float | None
    best_experiment: int | None
    pruned: int
    cached: int


class AttemptRecord(msgspec.Struct, frozen=True):
    """kind "attempt": sent to the gate, if clean. pure: a lone re-run in fresh children gave the same dev scores.
    pace: of the schedule its answer leaves on, chosen from the re-run's cost. incidents: seen in the re-run. author:
    who sent it, "" in a climb without authors. run_experiments: experiments of the run at that time."""

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


class Audited(msgspec.Struct, frozen=True):
    """kind "audit": what a promoted candidate's files and dev scores with other seeds gave cause to note."""

    candidate: str
    incidents: list[Incident]


class Finding(msgspec.Struct, frozen=True):
    """kind "finding": what an author told the others. text: its own words, hostile to whoever reads them. candidate:
    id of one of the run's, or ""; its figures are the blocks'."""

    number: int
    author: str
    kind: str
    text: str
    candidate: str = ""


class Spent(msgspec.Struct, frozen=True):
    """kind "spent": what an author's conversation has used since its last entry. dollars: by the model's price list,
    0 where it has none. conversation: name of its transcript. elapsed: seconds of work on the run by then, over all
    sittings: authors may think for hours between two experiments."""

    author: str
    tokens: int
    dollars: float
    conversation: str
    elapsed: float = 0.0


class Ended(msgspec.Struct, frozen=True):
    """kind "ended": an author's work is over, for this sitting. why: finished, tokens, dollars, time, experiments,
    fruitless or error, perhaps with words after a colon: a provider's, hostile to whoever reads them."""

    author: str
    why: str


class Queried(msgspec.Struct, frozen=True):
    """kind "query": an author asked the oracle of a task. bytes, seconds: what the answer took."""

    author: str
    bytes: int
    seconds: float


class Committed(msgspec.Struct, frozen=True):
    """kind "commit": the one candidate the sealed test will be opened for, named before it is opened."""

    candidate: str


KINDS: dict[str, type[msgspec.Struct]] = {
    "ask": RunSpec,
    "open": Opening,
    "sitting": SessionRecord,
    "block": BlockRecord,
    "generation": Generation,
    "attempt": AttemptRecord,
    "answer": Answer,
    "audit": Audited,
    "finding": Finding,
    "spent": Spent,
    "query": Queried,
    "ended": Ended,
    "reply": Reply,
    "commit": Committed,
    "test": Opened,
}


KIND_OF = {of: kind for kind, of in KINDS.items()}


def kind_of(record: msgspec.Struct) -> str:
    """The word a record's entry carries. Raises KeyError for a type that is not recorded."""
    return KIND_OF[type(record)]


def record(entry: Entry) -> Any:
    """The entry's body as the record its kind names. Raises RunError for a kind or form this version does not know."""
    try:
        return wire.decode(past.modern(entry.kind, entry.body), KINDS[entry.kind])
    except (KeyError, ValueError, msgspec.MsgspecError) as e:
        raise RunError(
            f"ledger entry {entry.seq} of kind {entry.kind!r} cannot be read by this version of toprope ({e}); "
            "use the version that made the run"
        ) from e
