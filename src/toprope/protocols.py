"""The six protocols that everything else is written against. Read this file first.

    Task      makes draws, talks to candidates, scores what they answer
    Dialogue  the conversation between a scorer and the variants of a block in one sandboxed child
    Block     (in types.py) the only unit of work: one author's variants x some draws
    Climber   proposes candidates and hears how they did: ask / tell, in columns
    Ledger    the append-only, hash-chained record from which a run is replayed
    Observer  hears every record of a run: a terminal, a page

A task is plain Python: generate -> (public, private), a dialogue, score -> numbers, plus task.toml.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeGuard, runtime_checkable

import msgspec
import numpy as np
from numpy.typing import NDArray

from toprope.space import Space
from toprope.types import Codes, Draw, Floats, Incident, Limits, Outcome, Round, Split, Tree

Outputs = dict[str, NDArray[Any]]  # name -> (k, *shape), one row per variant of the block; rows of dead variants are 0

Dialogue = Generator[Round, Outputs, Outputs]
"""Yields a Round, receives what all k variants answered, and at the end returns the outputs to score.

It speaks to all variants of a block at once, in columns. `state` (anything kept by a Call) stays in the child.
"""

SAME = 1e-6  # scores that differ by less are equal: linear algebra of another machine differs in the last bits
Progress = Callable[[str, float], None]  # (what is being done, fraction done in [0, 1])


class Task(Protocol):
    """One versioned problem instance, `family/name-vN`. Stateless except for caches; it lives in scorer processes."""

    spec: TaskSpec
    space: Space | None  # for climbers without a model; None: only candidates with code of their own can climb it

    @property
    def secret(self) -> Secret | None:
        """What the task keeps secret besides the seeds of its draws; None: nothing."""

    def prepare(self, split: Split, progress: Progress) -> None:
        """Build or load what draws of this split need, cached on disk by content hash. Called before `generate`."""

    def generate(self, split: Split, index: int, seed: int) -> Draw:
        """The index-th draw of a split: a pure function of (split, index, seed) and the task's version."""

    def dialogue(self, draw: Draw, entries: frozenset[str]) -> Dialogue:
        """The conversation about one draw with a candidate that defines these entry points.

        Raises ValueError naming what is missing if the entry points make no valid candidate.
        """

    def score(self, outputs: Outputs, draw: Draw) -> Floats:
        """(k,) scores in the metric's own unit, computed from data alone in a process that never ran the candidate."""

    def decoy(self, draw: Draw, rng: np.random.Generator) -> Decoy | None:
        """Wrong gold for this draw, planted in the child's memory off the honest path; None if the task has none."""

    def agreement(self, outputs: Outputs, draw: Draw, coins: Any) -> tuple[NDArray[np.int64], int]:
        """(k,) how many of n fair coins of a decoy the outputs agree with, and n. For a candidate that did not use the
        decoy the count is at most Binomial(n, 1/2), whatever it answers."""

    def null(self, draw: Draw, rng: np.random.Generator) -> Draw:
        """The same draw with gold that no candidate can know, so that every candidate's score has the same mean."""

    def starter(self) -> Tree:
        """The first candidate of every climb, unmodified."""

    def baselines(self) -> Mapping[str, Baseline]:
        """Published or natural methods as candidates."""


class Keeping(Task, Protocol):
    """A task whose secret a vault may replace by its own (`w2s`, `mirror`). A new instance holds the public secret."""

    def open_secret(self, vault: Path) -> None:
        """Use the vault's own secret from now on, if the vault has one. Raises UsageError if it is damaged."""

    def make_secret(self, vault: Path, seed: int | None, progress: Progress) -> Path:
        """Make a secret for a vault, readable by its owner only, and return its file. seed: what it is made from;
        None: random. Raises UsageError if the vault already has one, which its runs need in order to be verified."""


class Counting(Task, Protocol):
    """A task that also detects what only many draws together show (`mirror` does)."""

    def tally(self, outputs: Outputs, draw: Draw) -> NDArray[np.int64]:
        """(k, m) counts, to be summed over draws."""

    def accuse(self, tally: NDArray[np.int64], draws: int) -> list[Incident]:
        """The incidents that one candidate's (m,) sum of tallies over `draws` draws proves."""


class Scripted(Task, Protocol):
    """A task whose candidates may ask a model (`TaskSpec.model`), with a script that replaces it in runs without a
    provider's key."""

    def scripted(self, messages: Sequence[tuple[str, str]], sample: int) -> str:
        """The reply to (role, content) pairs: a pure function. sample: which sample of this question."""


class Imitation(Task, Protocol):
    """A task with a program to imitate, for people who write candidates by hand (`toprope brief`, `toprope oracle`)."""

    def brief(self, dev: Sequence[Draw]) -> dict[str, bytes]:
        """file name -> contents: the public part."""

    def run_program(
        self, argv: Sequence[bytes], stdin: bytes, files: Mapping[bytes, bytes]
    ) -> tuple[bytes, bytes, int]:
        """(stdout, stderr, exit code) of the program."""


def keeps_secret(task: Task) -> TypeGuard[Keeping]:
    """Decided by the method's name, as in `counting`."""
    return hasattr(task, "make_secret")


def counting(task: Task) -> TypeGuard[Counting]:
    """Decided by the method's name: a null twin delegates to the task it wraps (`tasks/null.py`), which isinstance
    would not see."""
    return hasattr(task, "tally")


def has_script(task: Task) -> TypeGuard[Scripted]:
    return hasattr(task, "scripted")


def imitation(task: Task) -> TypeGuard[Imitation]:
    return hasattr(task, "run_program")


class Secret(msgspec.Struct, frozen=True):
    """Describes what a task keeps secret besides the seeds of its draws. Results show every field, so no field may
    reveal the secret itself.

    kind: for example "hidden weights". name: which one; equal names are equal secrets. public: it is shipped with the
    task, so anybody can study it. remedy: the command or setting that replaces it by a private one. shared: practice
    draws depend on it too, so a run and the referee service that it uses need the same one. items: how many texts (or
    other units) the gate's draws sample from, which bounds how many promotions they carry; 0: draws are generated.
    """

    kind: str
    name: str
    public: bool
    remedy: str
    shared: bool = False
    items: int = 0

    @property
    def label(self) -> str:
        return self.name if self.kind in self.name else f"{self.kind}: {self.name}"


class Decoy(msgspec.Struct, frozen=True):
    """arrays: what is planted, plausible as gold. coins: the fair coins it was made with, for `Task.agreement`."""

    arrays: dict[str, NDArray[Any]]
    coins: Any


class Baseline(msgspec.Struct, frozen=True):
    """A published method as a candidate: files, parameters, source. own: the dimensions of the task's space that belong
    to the method and may be tuned (`toprope reference --tune`)."""

    tree: Tree
    params: dict[str, Any]
    source: str
    tuned: bool = False  # given the climb's own tuning budget; False: published or natural defaults
    own: tuple[str, ...] = ()


class TaskSpec(msgspec.Struct, frozen=True):
    """task.toml: everything about a task that is not code."""

    id: str
    title: str
    area: str
    threat_model: str
    metric: Metric
    entries: list[str]  # every entry-point name a candidate may define
    limits: Limits
    splits: Splits
    known_hacks: list[str]
    licence: str
    citation: str
    max_tree_bytes: int = 65536
    profile: str = "numpy"  # import profile of the sandbox
    model: ModelUse | None = None  # candidates may ask a language model; None: they may not
    denied_imports: list[str] = []  # modules that would make the task trivial: not a barrier (referee/imports.py)
    public_secrets: list[str] = []  # names of secrets that anybody can read and a certifying vault must replace
    practice: str = ""  # what dev draws are made of, where hidden draws are made of something else
    hidden: str = ""
    tier_above: str = ""  # task that costs more and says what values here mean (`toprope transfer`); "": none
    costly: bool = False  # a score takes seconds or more: `toprope check` of the task below does not ask for any
    answer_kinds: list[str] = []  # incident kinds which prove that a candidate carries answers to practice cases


class ModelUse(msgspec.Struct, frozen=True):
    """What a candidate may ask a language model by calling `model(messages)`. calls: different questions per draw.
    prompt_bytes: total over the messages of one question. reply_tokens: at most, per reply."""

    calls: int
    prompt_bytes: int = 65536
    reply_tokens: int = 1024


class Metric(msgspec.Struct, frozen=True):
    """What a task's scores mean. name, unit: of the normalised value. score_unit: of the score of one draw.

    clip: the gate clips the paired difference on a draw to [-clip, clip], in score_unit. spread: measured sd over draws
    of the difference between two good candidates, in score_unit; only forecasts use it. tolerance: by how much a
    candidate's mean score may change when it is played alone instead of in a batch, in score_unit; 0: not at all.
    """

    name: str
    unit: str
    score_unit: str
    clip: float
    spread: float
    direction: str = "maximize"
    dev_partial_credit: bool = msgspec.field(default=False, name="partial")  # hidden scores give none: not comparable
    tolerance: float = 0.0

    def same(self, again: NDArray[np.floating], before: NDArray[np.floating]) -> bool:
        """Whether two sets of scores of one candidate on the same draws, each (n,), are the same up to rounding. NaN
        where it failed; the outcomes must be the same everywhere."""
        if not self.tolerance:
            return bool(np.allclose(again, before, rtol=SAME, atol=SAME, equal_nan=True))
        failed, change = np.isnan(again), np.asarray(again - before, np.float64)[~np.isnan(again)]
        return bool(
            np.array_equal(failed, np.isnan(before)) and abs(change.mean() if change.size else 0.0) <= self.tolerance
        )


class Splits(msgspec.Struct, frozen=True):
    """Draws per split. rungs: the racing schedule as cumulative numbers of dev draws; the last one is all of dev.

    tick_s: seconds from a question to the gate's answer, times a power of two (referee/schedule.py).
    """

    rungs: list[int]
    val_slice: int
    measure_slice: int
    test: int
    attempt_every: int  # at most one attempt at the gate per this many experiments
    tick_s: float = 0.5
    generation: int = 32  # proposals per ask; fixed, so that the climb does not depend on the number of workers


class Results(msgspec.Struct, frozen=True):
    """What a climber is told, in columns, in the order of its proposals.

    values: (n,) normalised dev value; for a candidate stopped early, the incumbent's value plus the paired difference
    on the draws both have seen; NaN if not ok. draws: (n,) dev draws actually used.
    """

    rows: Codes
    values: Floats
    draws: NDArray[np.int64]
    outcomes: list[Outcome]


class Climber(Protocol):
    """Proposes candidates. Its state changes only in `ask` and `tell`: the same seed gives the same proposals."""

    def ask(self, n: int) -> Codes:
        """At most n proposals: rows of the task's space, uint8 of shape (<= n, p)."""

    def tell(self, results: Results) -> None: ...


@runtime_checkable
class Resumable(Protocol):
    """What a climber may have besides, so that a long run that is resumed need not be replayed to it."""

    def state(self) -> Any:
        """Everything that later proposals depend on, after a tell: numbers, text, arrays, lists and dictionaries."""

    def restore(self, state: Any) -> None:
        """Makes a new climber of the same space and seed the one that gave this state."""


class Entry(msgspec.Struct, frozen=True):
    """One row of the ledger. body: msgpack of the record its kind names.

    hash = sha256(previous hash, seq, kind, body).
    """

    seq: int
    kind: str
    body: bytes
    hash: str


class Observer(Protocol):
    """Shows a run while it goes on. It cannot change the run; an observer that raises is not called again."""

    def hear(self, record: msgspec.Struct) -> None:
        """Receives a record (`journal/records.py`) that the ledger already holds. A resumed run first passes on the
        records that it has."""


class Ledger(Protocol):
    """Append-only and hash-chained. The state of a run is what replaying the entries gives."""

    def append(self, record: msgspec.Struct) -> Entry:
        """Append it under the kind that belongs to its type, then notify the observers."""

    def read(self, kind: str | None = None, since: int = 0) -> Iterator[Entry]:
        """Entries in order, of one kind or of all, from number `since` on."""

    @property
    def head(self) -> str: ...
