"""Racing: few draws first, more only for the best quarter and only while an optimistic bound can still win.

Decisions are taken at barriers, in proposal order, against the incumbent at the start of the generation, so they do not
depend on the number of workers. Scores on different numbers of draws are never compared directly: the value of a
candidate stopped after j draws is the incumbent's value plus its paired difference on those j draws.

Generations begin at the same dev draw while they find better candidates, so that parents and children are compared on
the same draws. After STUCK generations that found none the next ones begin at another draw: the first draws choose the
parents, and a long climb would breed for them alone.
"""

from __future__ import annotations

import bisect
import math
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
STUCK = 2  # generations without a better candidate after which the next ones begin at another draw
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
    """One block of a rung: (k,) experiment numbers, their (k, p) rows, dev draws lo..hi-1. first_draw: of these
    experiments."""

    experiments: NDArray[np.int64]
    rows: Codes
    lo: int
    hi: int
    first_draw: int = 0


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
        turning: bool = True,
    ) -> None:
        """remembered: proposals whose results are remembered at least; None: all, as in runs older than the limit.
        blocks: how many a rung is cut into, at most one for each of its candidates and draws. together: False cuts a
        rung by candidates first, and turning: False begins all generations at draw 0, as in runs of earlier
        formats."""
        self._rungs, self.anchors, self._evaluate = rungs, anchors, evaluate
        self._blocks, self._together = blocks, together
        self._stride = stride(rungs[-1]) if turning and len(rungs) > 1 else 0
        self._turn = self._barren = 0  # beginnings so far, and generations without a better candidate
        self._seen = Seen(remembered)
        self.finalists: list[Finalist] = []
        self.experiments = self.pruned = self.cached = 0
        self.failed: dict[Outcome, int] = {}

    def run(self, rows: Codes) -> Results:
        """(n, p) rows -> their results for the climber, in order."""
        places, fresh = self._seen.place(rows)
        before = self.best
        self._judge(rows, fresh, places)
        self.cached += len(rows) - len(fresh)
        self.experiments += len(rows)
        self._barren = self._barren + 1 if self.best is before else 0
        if self._barren == STUCK:
            self._turn, self._barren = self._turn + 1, 0
        return Results(rows, *self._seen.get(places))

    def _judge(self, rows: Codes, fresh: NDArray[np.int64], places: NDArray[np.int64]) -> None:
        incumbent, lo, draws = self.best, 0, self._rungs[-1]
        order = (self._turn * self._stride + np.arange(draws)) % draws
        scores = np.full((len(rows), draws), np.nan, dtype=np.float32)
        alive = fresh
        most = len(fresh)
        for hi in self._rungs:
            alive = self._rung(rows, alive, scores, places, order, lo, hi)
            if hi == draws:
                break
            most = -(-most // QUARTER)
            same = _Same(scores[np.ix_(alive, order[:hi])], order[:hi], self.anchors, incumbent)
            on = same.promising() & same.among_best(most)
            out = alive[~on]
            self._seen.put(places[out], same.estimates()[~on], hi, Outcome.OK)
            self.pruned += len(out)
            alive, lo = alive[on], hi
        self._finish(rows, alive, scores, places)

    def _rung(
        self,
        rows: Codes,
        alive: NDArray[np.int64],
        scores: NDArray[np.float32],
        places: NDArray[np.int64],
        order: NDArray[np.int64],
        lo: int,
        hi: int,
    ) -> NDArray[np.int64]:
        """Writes the scores of the draws order[lo:hi] into `scores`; returns the candidates that are still ok.
        Candidates stay together where they can, because variants in one block share work on a draw."""
        if not len(alive):
            return alive
        if self._together:
            spans = np.array_split(order[lo:hi], min(self._blocks, hi - lo))
            cuts = np.array_split(alive, min(self._blocks // len(spans), len(alive)))
        else:
            cuts = np.array_split(alive, min(self._blocks, len(alive)))
            spans = np.array_split(order[lo:hi], min(self._blocks // len(cuts), hi - lo))
        spans = [run for span in spans for run in np.split(span, np.flatnonzero(np.diff(span) < 0) + 1)]
        owners = [(cut, int(span[0]), int(span[-1]) + 1) for cut in cuts for span in spans]
        first = int(order[0])
        pieces = [Piece(self.experiments + cut, rows[cut], low, high, first) for cut, low, high in owners]
        ended: dict[int, Outcome] = {}
        for (cut, low, high), scored in zip(owners, self._evaluate(pieces), strict=True):
            scores[cut, low:high] = scored.scores
            for i, outcome in scored.failed.items():
                ended.setdefault(int(cut[i]), outcome)
        for i, outcome in ended.items():
            self._seen.put(places[i : i + 1], np.nan, lo, outcome)
            self.failed[outcome] = self.failed.get(outcome, 0) + 1
        return alive[~np.isin(alive, list(ended))] if ended else alive

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
            "turn": [self._turn, self._barren],
            "failed": {str(o): n for o, n in self.failed.items()},
            "finalists": [list(f) for f in self.finalists],
            "seen": self._seen.state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.experiments, self.pruned, self.cached = state["counts"]
        self._turn, self._barren = state["turn"]
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


class _Same:
    """Candidates that saw the same j draws. scores: (m, j). incumbent: the best one at the start of the generation."""

    def __init__(
        self, scores: NDArray[np.float32], draws: NDArray[np.int64], anchors: Anchors, incumbent: Finalist | None
    ) -> None:
        self._scores, self._incumbent = scores, incumbent
        self._anchors = Anchors(anchors.floors[draws], anchors.ceilings[draws])
        self._values = self._anchors.value(scores.astype(np.float64))
        self._incumbents = incumbent.scores[draws] if incumbent is not None else None

    def promising(self) -> NDArray[np.bool_]:
        """(m,) whether each may still be better than the incumbent."""
        if self._incumbents is None or not len(self._scores):
            return np.ones(len(self._scores), dtype=bool)
        j = self._scores.shape[1]
        gap = float((self._anchors.ceilings - self._anchors.floors).mean())
        differences = (self._scores - self._incumbents).astype(np.float64) / gap
        error = differences.std(axis=1, ddof=1) / np.sqrt(j) if j > 1 else np.zeros(len(self._scores))
        bound = differences.mean(axis=1) + OPTIMISM * error + SLACK
        return np.asarray(bound.round(6) >= 0)

    def among_best(self, most: int) -> NDArray[np.bool_]:
        """(m,) whether each is among the `most` best; ties go to the earlier proposal."""
        among = np.zeros(len(self._scores), dtype=bool)
        among[np.argsort(-self._values, kind="stable")[:most]] = True
        return among

    def estimates(self) -> Floats:
        """(m,) values of those that are stopped here."""
        if self._incumbent is None or self._incumbents is None:
            return self._values
        same_draws = self._anchors.value(self._incumbents.astype(np.float64))
        return np.asarray((self._incumbent.value + self._values - same_draws).round(6))


def stride(draws: int) -> int:
    """By how many draws each beginning lies after the one before: near the golden section, so that beginnings are far
    apart, and coprime to `draws`, so that every draw is one."""
    aim = draws * (math.sqrt(5) - 1) / 2
    return min((s for s in range(draws) if math.gcd(s, draws) == 1), key=lambda s: abs(s - aim), default=0)
