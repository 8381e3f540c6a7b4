"""The experiments of a run in columns, so that a page of a million of them is filtered and sorted at once.

A thread fills them from the ledger's blocks, barrier by barrier, and goes on while the run does. For a large ledger
they are kept in the user's cache folder: they are used again as far as the chain agrees, by the hash of the entry at
which they end.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from toprope import paths
from toprope.errors import RunError, TopropeError
from toprope.journal import checkpoint
from toprope.journal.ledger import SqliteLedger
from toprope.journal.records import BlockRecord, Generation, Opening, record
from toprope.types import Anchors, Floats, Outcome

NAMES = ("repeat", *(str(o) for o in Outcome))  # of outcomes, by code; a repeat of an earlier proposal was not run
CODE = {name: code for code, name in enumerate(NAMES)}
SLICE = 2048  # entries that are read between two looks at whether to stop
FORM = 2  # of the kept file
MOST = 10**8  # experiments; a ledger may name any number


class Table(NamedTuple):
    """Experiments 0, 1, ... (n,). value: normalised dev value, NaN if not ok; of one that was stopped early, the best
    one's at the time plus the paired difference, as the climber was told. draws: dev draws seen. outcome: codes of
    NAMES. author: number in `Columns.authors`, 0 for the climber."""

    value: NDArray[np.float32]
    draws: NDArray[np.uint16]
    outcome: NDArray[np.uint8]
    author: NDArray[np.uint16]

    @property
    def n(self) -> int:
        return len(self.value)


class Columns:
    """Fills a Table in a thread of its own, with a connection of its own. `wanted` starts it."""

    def __init__(self, path: Path, ledger: SqliteLedger) -> None:
        self._path, self._follow = path, ledger
        self._lock = threading.Lock()
        self._parts: list[Table] = []
        self._n = 0  # experiments in all parts
        self._at = 0  # entries that are taken up
        self._blocks: list[BlockRecord] = []  # since the last barrier
        self._anchors: Anchors | None = None
        self._best: tuple[int | None, Floats | None] = (None, None)  # the best one so far, with its scores
        self._thread: threading.Thread | None = None
        self._ending = False
        self._kept = 0  # entries in the kept file
        self.authors = [""]

    # ------------------------------------------------------------ for readers

    def wanted(self, wait_s: float = 0.0) -> tuple[Table, float]:
        """The table as far as it is filled, and the share of the ledger that this is. It is filled further meanwhile;
        wait_s: how long to wait for that."""
        with self._lock:
            idle = self._thread is None or not self._thread.is_alive()
            if idle and self._at < self._follow.length and not self._ending:
                self._thread = threading.Thread(target=self._fill, daemon=True)
                self._thread.start()
            thread = self._thread
        if thread is not None and wait_s:
            thread.join(wait_s)
        with self._lock:
            if len(self._parts) > 1:
                self._parts = [_joined(self._parts)]
            table = self._parts[0] if self._parts else _joined([])
            return table, self._at / max(1, self._follow.length)

    def example(self, outcome: str, wait_s: float = 0.05) -> int | None:
        """The latest experiment that ended so, as far as the table is filled."""
        table, _ = self.wanted(wait_s)
        found = np.flatnonzero(table.outcome == CODE.get(outcome, 255))
        return int(found[-1]) if found.size else None

    def peek(self) -> tuple[int, float]:
        """How many experiments the table holds, and the share of the ledger that is taken up, without starting."""
        return self._n, self._at / max(1, self._follow.length)

    def close(self) -> None:
        """Ends the thread soon."""
        self._ending = True

    # ------------------------------------------------------------ filling

    def _fill(self) -> None:
        with contextlib.suppress(TopropeError, OSError):  # the pages themselves say what is wrong with a ledger
            if self._at == 0:
                self._load()
            while not self._ending and (end := self._follow.length) > self._at:
                for entry in self._follow.between(self._at, min(end, self._at + SLICE)):
                    if entry.kind in ("open", "block", "generation"):
                        self._take(record(entry))
                    self._at = entry.seq + 1
            self._save()

    def _take(self, found: Any) -> None:
        match found:
            case Opening():
                self._anchors = Anchors(found.floors, found.ceilings)
            case BlockRecord():
                self._blocks.append(found)
            case Generation():
                self._barrier(found)

    def _barrier(self, g: Generation) -> None:
        if g.experiments > MOST:
            raise RunError(f"generation {g.number} names {g.experiments} experiments; pages show at most {MOST}")
        done = self._n
        fresh = max(0, g.experiments - done)
        part = Table(
            np.full(fresh, np.nan, np.float32),
            np.zeros(fresh, np.uint16),
            np.zeros(fresh, np.uint8),
            np.zeros(fresh, np.uint16),
        )
        if self._blocks and self._anchors is not None:
            experiments, scores, first = assembled(self._blocks, len(self._anchors.floors))
            own = (experiments >= done) & (experiments < g.experiments)
            for begun in np.unique(first[own]).tolist():
                some = own & (first == begun)
                self._values(part, experiments[some] - done, scores[some], begun)
            for b in self._blocks:
                at = b.experiments.astype(np.int64) - done
                for i, outcome in b.outcomes.items():
                    if 0 <= at[i] < fresh:
                        part.outcome[at[i]] = CODE.get(outcome, CODE["crash"])
                        part.value[at[i]] = np.nan
                if b.author is not None and 0 <= at[0] < fresh:
                    part.author[at[0]] = self._number(b.author.name)
            if g.best_experiment != self._best[0] and g.best_experiment is not None:
                here = np.flatnonzero(experiments == g.best_experiment)
                self._best = (g.best_experiment, scores[here[0]] if here.size else self._best[1])
        self._blocks = []
        with self._lock:
            self._parts.append(part)
            self._n += fresh

    def _values(self, part: Table, at: NDArray[np.int64], scores: Floats, first_draw: int) -> None:
        """Writes value, draws and outcome of the experiments at these places of a part, which began at this draw."""
        assert self._anchors is not None
        scores = np.roll(scores, -first_draw, axis=1)
        anchors = Anchors(*(np.roll(x, -first_draw) for x in self._anchors))
        best = np.roll(self._best[1], -first_draw) if self._best[1] is not None else None
        draws = seen(scores)
        part.draws[at] = draws
        part.outcome[at] = CODE["ok"]
        for j in np.unique(draws[draws > 0]).tolist():
            rows = draws == j
            own = anchors.value(scores[rows, :j])
            if j < len(anchors.floors) and best is not None and not np.isnan(best).any():
                own = float(anchors.value(best)) + own - float(anchors.value(best[:j]))
            part.value[at[rows]] = own

    def _number(self, author: str) -> int:
        if author not in self.authors:
            self.authors.append(author)
        return min(self.authors.index(author), 2**16 - 1)

    # ------------------------------------------------------------ the kept file

    def _file(self) -> Path:
        name = hashlib.sha256(os.fsencode(self._path.resolve())).hexdigest()[:24]
        return paths.cache() / "serve" / f"{name}.npz"

    def _load(self) -> None:
        """Takes up the kept file, if the ledger's chain goes through the entry at which it ends."""
        try:
            with np.load(self._file(), allow_pickle=False) as f:
                length, head, form = int(f["length"]), str(f["head"]), int(f["form"])
                last = next(self._follow.between(length - 1, length), None)
                if form != FORM or last is None or last.hash != head:
                    return
                part = Table(*(f[name].astype(d) for name, d in zip(Table._fields, _DTYPES, strict=True)))
                self.authors = [str(a) for a in f["authors"]]
                best = f["best"]
                self._best = (int(f["best_experiment"]), best if best.size else None)
                self._anchors = Anchors(f["floors"], f["ceilings"])
        except (OSError, ValueError, KeyError, EOFError):
            return
        with self._lock:
            self._parts, self._n, self._at, self._kept = [part], part.n, length, length

    def _save(self) -> None:
        """Keeps the columns of a large ledger that ends with a barrier, or as good as."""
        large = checkpoint.size(self._follow.path) >= checkpoint.LARGE
        if not large or self._blocks or self._anchors is None or self._at < 2 * self._kept:
            return
        table, _ = self.wanted()
        last = next(self._follow.between(self._at - 1, self._at), None)
        if last is None:
            return
        path = self._file()
        making = path.with_suffix(f".{os.getpid()}.new")
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            with making.open("wb") as file:
                np.savez(
                    file,
                    form=FORM,
                    length=self._at,
                    head=last.hash,
                    authors=np.array(self.authors),
                    best_experiment=-1 if self._best[0] is None else self._best[0],
                    best=np.empty(0) if self._best[1] is None else self._best[1],
                    floors=self._anchors.floors,
                    ceilings=self._anchors.ceilings,
                    **table._asdict(),
                )
            making.replace(path)
            self._kept = self._at


def assembled(blocks: list[BlockRecord], draws: int) -> tuple[NDArray[np.int64], Floats, NDArray[np.int64]]:
    """The experiments (k,) of some blocks in order, with their scores (k, draws), NaN on draws that they have not seen
    and where they failed, and the draws (k,) at which they began. draws: dev draws of the run."""
    experiments = np.unique(np.concatenate([b.experiments for b in blocks])).astype(np.int64)
    scores, first = np.full((len(experiments), draws), np.nan), np.zeros(len(experiments), np.int64)
    for b in blocks:
        at = np.searchsorted(experiments, b.experiments)
        scores[at, b.lo : b.hi] = b.scores
        first[at] = b.first_draw
    return experiments, scores, first


def seen(scores: Floats) -> NDArray[np.int64]:
    """(k,) how many draws each has seen without a gap; the first column is of the draw at which it began."""
    found: NDArray[np.int64] = (~np.isnan(scores)).cumprod(axis=1).sum(axis=1)
    return found


def _joined(parts: list[Table]) -> Table:
    empty = [np.empty(0, d) for d in _DTYPES]
    columns: list[Any] = [np.concatenate(column) for column in zip(empty, *parts, strict=True)]
    return Table(*columns)


_DTYPES = (np.float32, np.uint16, np.uint8, np.uint16)


class Query(NamedTuple):
    """What a reader asks for. sort: "new", "old" or "best". outcome, author: "" for all. least: of the dev value."""

    outcome: str = ""
    least: float | None = None
    author: str = ""
    sort: str = "new"
    whole: int = 0  # dev draws that an experiment must have seen


def chosen(table: Table, authors: list[str], q: Query, first: int, some: int) -> tuple[NDArray[np.int64], int]:
    """The experiments at places first, first + 1, ... (at most `some`) among those that match, and how many match."""
    mask = np.ones(table.n, bool)
    if q.outcome:
        mask &= table.outcome == CODE.get(q.outcome, 255)
    if q.least is not None:
        mask &= table.value >= q.least  # NaN is not
    if q.author:
        mask &= table.author == (authors.index(q.author) if q.author in authors else 2**16 - 1)
    if q.whole:
        mask &= table.draws >= q.whole
    if q.sort == "best":
        mask &= ~np.isnan(table.value)
    found = np.flatnonzero(mask)
    if q.sort == "best":
        values, end = -table.value[found], min(first + some, len(found))
        if 0 < end < len(found):
            last = np.sort(values)[end - 1]  # np.partition takes five times as long on many equal values
            above = np.flatnonzero(values < last)
            level = np.flatnonzero(values == last)[: end - len(above)]
            order = np.concatenate([above[np.argsort(values[above], kind="stable")], level])
        else:
            order = np.argsort(values, kind="stable")
        return found[order[first:end]], len(found)
    if q.sort == "new":
        found = found[::-1]
    return found[first : first + some], len(found)
