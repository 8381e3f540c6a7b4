"""The six shapes everything else is written against. Read this file first.

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
from typing import Any, Protocol, TypeGuard

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

Progress = Callable[[str, float], None]  # (what is being done, fraction done in [0, 1])


class Task(Protocol):
    """One versioned problem instance, `family/name-vN`. Stateless but for caches; lives in scorer processes."""

    spec: TaskSpec
    space: Space | None  # for climbers without a model; None: only own code can climb it

    @property
    def secret(self) -> Secret | None:
        """What it keeps to itself beside the seeds of its draws; None: nothing."""

    def prepare(self, split: Split, progress: Progress) -> None:
        """Build or load whatever draws of this split need (cached on disk by content hash)."""

    def generate(self, split: Split, index: int, seed: int) -> Draw:
        """The index-th draw of a split: a pure function of (split, index, seed) and the task's version."""

    def dialogue(self, draw: Draw, entries: frozenset[str]) -> Dialogue:
        """The conversation about one draw with a candidate that defines these entry points.

        Raises ValueError naming what is missing if the entry points make no valid candidate.
        """

    def score(self, outputs: Outputs, draw: Draw) -> Floats:
        """(k,) scores in the metric's own unit, computed from data alone in a process that never ran the candidate."""

    def decoy(self, draw: Draw, rng: np.random.Generator) -> Decoy | None:
        """Wrong gold for this draw, to lie in the child's memory off the honest path; None if the task has none."""

    def agreement(self, outputs: Outputs, draw: Draw, coins: Any) -> tuple[NDArray[np.int64], int]:
        """(k,) how many of n fair coins of a decoy the outputs agree with, and n. Whoever did not use the decoy has
        Binomial(n, 1/2) of them at most, whatever it answers."""

    def null(self, draw: Draw, rng: np.random.Generator) -> Draw:
        """The same draw with gold that nobody can know: every candidate's score has the same mean."""

    def starter(self) -> Tree:
        """The first candidate of every climb, unmodified."""

    def baselines(self) -> Mapping[str, Baseline]:
        """Published or natural methods as candidates."""


class Keeping(Task, Protocol):
    """A task whose secret may be a vault's own (`w2s`, `mirror`). It is made with the public one."""

    def open_secret(self, vault: Path) -> None:
        """Uses the vault's own secret from now on, if the vault has one. Raises UsageError for one that is damaged."""

    def make_secret(self, vault: Path, seed: int | None, progress: Progress) -> Path:
        """Makes one for a vault, readable by its owner alone, and returns its file. seed: where it is made from one;
        None: a random one. Raises UsageError if the vault has one: its runs could not be verified without it."""


class Counting(Task, Protocol):
    """A task that also judges what only many draws together show (`mirror` does)."""

    def tally(self, outputs: Outputs, draw: Draw) -> NDArray[np.int64]:
        """(k, m) counts, to be summed over draws."""

    def accuse(self, tally: NDArray[np.int64], draws: int) -> list[Incident]:
        """What one candidate's (m,) sum over so many draws proves."""


class Scripted(Task, Protocol):
    """A task whose candidates may ask a model (`TaskSpec.model`), with a script in its place for runs without a key."""

    def scripted(self, messages: Sequence[tuple[str, str]], sample: int) -> str:
        """The reply to (role, content) pairs: a pure function."""


class Imitation(Task, Protocol):
    """A task with a program to imitate, for people who write candidates by hand (`toprope brief`, `toprope oracle`)."""

    def brief(self, dev: Sequence[Draw]) -> dict[str, bytes]:
        """file name -> contents: the public part."""

    def ask(self, argv: Sequence[bytes], stdin: bytes, files: Mapping[bytes, bytes]) -> tuple[bytes, bytes, int]:
        """(stdout, stderr, exit code) of the program."""


def keeps_secret(task: Task) -> TypeGuard[Keeping]:
    """By the method's name, as for `counting`."""
    return hasattr(task, "make_secret")


def counting(task: Task) -> TypeGuard[Counting]:
    """By the method's name: a twin hands on what it wraps (`tasks/null.py`), which isinstance would not see."""
    return hasattr(task, "tally")


def has_script(task: Task) -> TypeGuard[Scripted]:
    return hasattr(task, "scripted")


def imitation(task: Task) -> TypeGuard[Imitation]:
    return hasattr(task, "ask")


class Secret(msgspec.Struct, frozen=True):
    """What a task keeps to itself beside the seeds of its draws. Results show all of it, so none of it tells anything.

    kind: "hidden weights", say. name: which one; equal names are equal secrets. public: it comes with the task, so
    anybody can study it. remedy: what replaces it by a private one, a command or a setting. shared: practice draws are
    made of it, too, so that a run and the referee service it uses need the same.
    """

    kind: str
    name: str
    public: bool
    remedy: str
    shared: bool = False

    @property
    def label(self) -> str:
        return self.name if self.kind in self.name else f"{self.kind}: {self.name}"


class Decoy(msgspec.Struct, frozen=True):
    """arrays: what is planted, plausible as gold. coins: the fair coins it was made with."""

    arrays: dict[str, NDArray[Any]]
    coins: Any


class Baseline(msgspec.Struct, frozen=True):
    """A published method as a candidate: files, parameters, where it comes from. own: dimensions of the task's space
    that are the method's own and may be tuned (`toprope reference --tune`)."""

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
    model: ModelUse | None = None  # candidates may ask a language model; None: there is none to ask
    denied_imports: list[str] = []  # modules that would make the task trivial: hygiene, no wall (referee/imports.py)
    public_secrets: list[str] = []  # what a stranger can read that a certifying vault must replace
    answer_kinds: list[str] = []  # kinds of its incidents that prove: a candidate carries answers to practice cases


class ModelUse(msgspec.Struct, frozen=True):
    """What a candidate may ask a language model, by `model(messages)`. calls: different questions per draw.
    prompt_bytes: of all messages of one question. reply_tokens: of one reply."""

    calls: int
    prompt_bytes: int = 65536
    reply_tokens: int = 1024


class Metric(msgspec.Struct, frozen=True):
    """name and unit of the normalised value; score_unit of a single draw's score; clip of the gate's difference.

    spread: sd over draws of the difference between two good candidates, measured, in score_unit: for forecasts only.
    """

    name: str
    unit: str
    score_unit: str
    clip: float
    spread: float
    direction: str = "maximize"
    dev_partial_credit: bool = msgspec.field(default=False, name="partial")  # and hidden scores give none: not compared


class Splits(msgspec.Struct, frozen=True):
    """Draws per split. rungs: the racing schedule, cumulative dev draws; the last one is all of dev.

    tick_s: the gate's answers leave this many seconds after the question, times powers of two (referee/schedule.py).
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
    """Whatever proposes candidates. Frozen between ask and tell: the same seed gives the same proposals."""

    def ask(self, n: int) -> Codes:
        """(n, p) rows of the task's space."""

    def tell(self, results: Results) -> None: ...


class Entry(msgspec.Struct, frozen=True):
    """One row of the ledger. body: msgpack of the record its kind names.

    hash = sha256(previous hash, seq, kind, body).
    """

    seq: int
    kind: str
    body: bytes
    hash: str


class Observer(Protocol):
    """Whatever shows a run while it goes on. It is a guest: it changes nothing, and one that raises hears no more."""

    def hear(self, record: msgspec.Struct) -> None:
        """A record (`journal/records.py`) that the ledger holds by now. A run that goes on first tells those it has."""


class Ledger(Protocol):
    """Append-only and hash-chained. State is what replaying the entries gives."""

    def append(self, record: msgspec.Struct) -> Entry:
        """Records it under the kind of its type, then tells the observers."""

    def read(self, kind: str | None = None, since: int = 0) -> Iterator[Entry]:
        """Entries in order, of one kind or of all, from number `since` on."""

    @property
    def head(self) -> str: ...
