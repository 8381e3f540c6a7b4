"""Racing: few draws first, more only for the best quarter and only while an optimistic bound can still win.

Decisions are taken at barriers, in proposal order, against the incumbent at the start of the generation, so they do not
depend on the number of workers. Scores on different numbers of draws are never compared directly: the value of a
candidate stopped after j draws is the incumbent's value plus its paired difference on those j draws.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from toprope.protocols import Results
from toprope.run.seen import REMEMBERED, Seen
from toprope.types import Anchors, Codes, Floats, Outcome

OPTIMISM = 1.0  # standard errors granted to a candidate on the draws it has seen
QUARTER = 4  # at most one in four continues past each rung (successive halving, Jamieson & Talwalkar 2016)
SLACK = 0.02  # granted in addition, in the metric's unit, so that a small spread by chance does not stop a candidate
BLOCKS = 8  # a rung is cut into about this many blocks, by draws and then by candidates; `RunSpec.blocks` is another
SOME = 32  # different candidates after which a climb is ended if only the starter runs
KEEP = 64  # finalists kept with their scores per draw; attempts at the gate choose among them


class Finalist(NamedTuple):
    """A candidate that saw all of dev. experiment: its index in the run."""

    experiment: int
    row: Codes
    value: float
    scores: NDArray[np.float32]


class Scored(NamedTuple):
    """The result of one block: (k, draws of the rung) scores, NaN where not ok. failed: position in the block -> how
    it ended, if not ok."""

    scores: NDArray[np.float32]
    failed: dict[int, Outcome]


class Piece(NamedTuple):
    """One block of a rung: (k,) experiment numbers, their (k, p) rows, dev draws lo..hi-1."""

    experiments: NDArray[np.int64]
    rows: Codes
    lo: int
    hi: int


class Evaluate(Protocol):
    """Scores pieces in any order, but returns the answers in the order asked for."""

    def __call__(self, pieces: list[Piece]) -> Iterable[Scored]: ...


class Race:
    """Memory of one climb on dev: the rows seen of late, the best finalists (best first), and the racing schedule."""

    def __init__(
        self,
        rungs: list[int],
        anchors: Anchors,
        evaluate: Evaluate,
        remembered: int | None = REMEMBERED,
        blocks: int = BLOCKS,
        together: bool = True,
    ) -> None:
        """remembered: proposals whose results are remembered at least; None: all, as in runs older than the limit.
        blocks: how many a rung is cut into, at most one for each of its candidates and draws. together: False cuts a
        rung by candidates first, as runs of earlier formats were cut."""
        self._rungs, self.anchors, self._evaluate = rungs, anchors, evaluate
        self._blocks, self._together = blocks, together
        self._seen = Seen(remembered)
        self.finalists: list[Finalist] = []
        self.experiments = self.pruned = self.cached = 0
        self.failed: dict[Outcome, int] = {}

    def run(self, rows: Codes) -> Results:
        """(n, p) rows -> their results for the climber, in order."""
        places, fresh = self._seen.place(rows)
        self._judge(rows, fresh, places)
        self.cached += len(rows) - len(fresh)
        self.experiments += len(rows)
        return Results(rows, *self._seen.get(places))

    def _judge(self, rows: Codes, fresh: NDArray[np.int64], places: NDArray[np.int64]) -> None:
        incumbent, lo = self.best, 0
        scores = np.full((len(rows), self._rungs[-1]), np.nan, dtype=np.float32)
        alive = fresh
        most = len(fresh)
        for hi in self._rungs:
            alive = self._rung(rows, alive, scores, places, lo, hi)
            if hi == self._rungs[-1]:
                break
            most = -(-most // QUARTER)
            on = self._promising(scores[alive, :hi], incumbent) & self._among_best(scores[alive, :hi], most)
            out = alive[~on]
            self._seen.put(places[out], self._estimates(scores[out, :hi], incumbent), hi, Outcome.OK)
            self.pruned += len(out)
            alive, lo = alive[on], hi
        self._finish(rows, alive, scores, places)

    def _rung(
        self,
        rows: Codes,
        alive: NDArray[np.int64],
        scores: NDArray[np.float32],
        places: NDArray[np.int64],
        lo: int,
        hi: int,
    ) -> NDArray[np.int64]:
        """Writes the scores of the rung's draws into `scores`; returns the candidates that are still ok. Candidates
        stay together where they can, because variants in one block share work on a draw."""
        if not len(alive):
            return alive
        if self._together:
            spans = np.array_split(np.arange(lo, hi), min(self._blocks, hi - lo))
            cuts = np.array_split(alive, min(self._blocks // len(spans), len(alive)))
        else:
            cuts = np.array_split(alive, min(self._blocks, len(alive)))
            spans = np.array_split(np.arange(lo, hi), min(self._blocks // len(cuts), hi - lo))
        owners = [(cut, int(span[0]), int(span[-1]) + 1) for cut in cuts for span in spans]
        pieces = [Piece(self.experiments + cut, rows[cut], low, high) for cut, low, high in owners]
        ended: dict[int, Outcome] = {}
        for (cut, low, high), scored in zip(owners, self._evaluate(pieces), strict=True):
            scores[cut, low:high] = scored.scores
            for i, outcome in scored.failed.items():
                ended.setdefault(int(cut[i]), outcome)
        for i, outcome in ended.items():
            self._seen.put(places[i : i + 1], np.nan, lo, outcome)
            self.failed[outcome] = self.failed.get(outcome, 0) + 1
        return alive[~np.isin(alive, list(ended))] if ended else alive

    def _promising(self, scores: NDArray[np.float32], incumbent: Finalist | None) -> NDArray[np.bool_]:
        if incumbent is None or not len(scores):
            return np.ones(len(scores), dtype=bool)
        j = scores.shape[1]
        gap = float((self.anchors.ceilings[:j] - self.anchors.floors[:j]).mean())
        differences = (scores - incumbent.scores[:j]).astype(np.float64) / gap
        error = differences.std(axis=1, ddof=1) / np.sqrt(j) if j > 1 else np.zeros(len(scores))
        bound = differences.mean(axis=1) + OPTIMISM * error + SLACK
        return np.asarray(bound.round(6) >= 0)

    def _among_best(self, scores: NDArray[np.float32], most: int) -> NDArray[np.bool_]:
        """(m,) whether each is among the `most` best on the draws seen so far; ties go to the earlier proposal."""
        order = np.argsort(-self.anchors.value(scores.astype(np.float64)), kind="stable")
        among = np.zeros(len(scores), dtype=bool)
        among[order[:most]] = True
        return among

    def _estimates(self, scores: NDArray[np.float32], incumbent: Finalist | None) -> Floats:
        """(m,) values of candidates stopped after j draws, from their (m, j) scores."""
        own = self.anchors.value(scores.astype(np.float64))
        if incumbent is None:
            return own
        same_draws = self.anchors.value(incumbent.scores[: scores.shape[1]].astype(np.float64))
        return np.asarray((incumbent.value + own - same_draws).round(6))

    def _finish(
        self, rows: Codes, alive: NDArray[np.int64], scores: NDArray[np.float32], places: NDArray[np.int64]
    ) -> None:
        """Stores the values of candidates that saw all of dev, and keeps the best as finalists. In a tie the earlier
        proposal stays ahead. A finalist that was forgotten and scored again stays one."""
        values = self.anchors.value(scores[alive].astype(np.float64))
        self._seen.put(places[alive], values, scores.shape[1], Outcome.OK)
        known = {f.row.tobytes() for f in self.finalists}
        for at in np.argsort(-values, kind="stable")[:KEEP].tolist():
            i = int(alive[at])
            if rows[i].tobytes() not in known:
                finalist = Finalist(self.experiments + i, rows[i].copy(), float(values[at]), scores[i].copy())
                bisect.insort(self.finalists, finalist, key=lambda f: (-f.value, f.experiment))
        del self.finalists[KEEP:]

    def state(self) -> dict[str, Any]:
        """Everything that later results depend on."""
        return {
            "counts": [self.experiments, self.pruned, self.cached],
            "failed": {str(o): n for o, n in self.failed.items()},
            "finalists": [list(f) for f in self.finalists],
            "seen": self._seen.state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.experiments, self.pruned, self.cached = state["counts"]
        self.failed = {Outcome(o): n for o, n in state["failed"].items()}
        self.finalists = [Finalist(*f) for f in state["finalists"]]
        self._seen.restore(state["seen"])

    @property
    def hopeless(self) -> str:
        """Why the climb is pointless: of at least SOME different candidates only the starter ran. Otherwise empty."""
        failed, distinct = sum(self.failed.values()), self.experiments - self.cached
        if distinct < SOME or failed < distinct - 1:
            return ""
        ends = ", ".join(f"{n} {outcome}" for outcome, n in sorted(self.failed.items()))
        return f"{failed} of {distinct} different candidates failed ({ends}), all but the starter"

    @property
    def best(self) -> Finalist | None:
        return self.finalists[0] if self.finalists else None
