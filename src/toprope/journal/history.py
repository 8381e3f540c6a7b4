"""The history of a run, from its records: champion, measurements, failures, incidents, the verdict."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal, overload

import msgspec
import numpy as np

from toprope import notebook
from toprope.figures import Figure
from toprope.journal import columns, drawing
from toprope.journal import tally as tallies
from toprope.journal.blocks import Blocks, in_turn
from toprope.journal.records import (
    AttemptRecord,
    Audited,
    BlockRecord,
    Committed,
    Ended,
    FinalsRecord,
    Finding,
    Generation,
    Note,
    Opening,
    Queried,
    Spent,
)
from toprope.journal.spec import RunSpec
from toprope.journal.tally import Tally, merge
from toprope.journal.verdict import verdict
from toprope.models.messages import Reply
from toprope.referee.recorded import Answer, Opened
from toprope.stats.gap import Gap
from toprope.stats.intervals import Estimate
from toprope.stats.leak import answer_bits
from toprope.types import Candidate, Floats, Incident

if TYPE_CHECKING:
    import pandas
    import polars

GAP = 0.1  # normalised value by which dev may lie above the test before a champion counts as overfit


def champion(opening: Opening, asked: Iterable[AttemptRecord], answers: Iterable[Answer]) -> Candidate:
    """The last promoted candidate, or the starter if no candidate was promoted."""
    promoted = [a.candidate for a in answers if a.promoted]
    if not promoted:
        return Candidate(opening.tree, opening.space.decode(opening.space.default()))
    return next(a.candidate for a in asked if a.candidate.id == promoted[-1])


class RunHistory(msgspec.Struct):
    """The records of a run in order. blocks: read from the ledger when they are iterated over (`blocks.py`). tally:
    what they say together. head: the ledger's last hash. spec: of the first entry; None in a ledger of an early
    version. session_s: seconds of the session that has just ended: start_s, climb_s, gate_s, test_s and total_s; {}
    where the history was read from a directory."""

    path: str
    opening: Opening
    blocks: Sequence[BlockRecord] | Blocks
    generations: list[Generation]
    asked: list[AttemptRecord]
    answers: list[Answer]
    committed: Committed | None
    test: Opened | None
    audits: list[Audited]
    head: str
    spec: RunSpec | None = None
    findings: list[Finding] = []
    notes: list[Note] = []
    spent: list[Spent] = []
    replies: list[Reply] = []
    queried: list[Queried] = []
    ended: list[Ended] = []
    session_s: dict[str, float] = {}
    finals: list[FinalsRecord] = []
    tally: Tally | None = None

    @property
    def counted(self) -> Tally:
        """The tally of the blocks."""
        if self.tally is None:
            self.tally = tallies.of(self.blocks, self.generations)
        return self.tally

    @property
    def authored(self) -> Iterator[BlockRecord]:
        """The blocks of authors."""
        return (b for b in self.blocks if b.author is not None) if self.counted.authored else iter(())

    def blocks_of(self, experiment: int) -> Iterator[BlockRecord]:
        """The blocks that hold scores of this experiment."""
        some = self.blocks.around(experiment) if isinstance(self.blocks, Blocks) else self.blocks
        return (b for b in some if (b.experiments == experiment).any())

    @property
    def experiments(self) -> int:
        """Made so far, up to the last barrier."""
        return self.generations[-1].experiments if self.generations else 0

    @property
    def champion(self) -> Candidate:
        """The last promoted candidate, or the starter where none was promoted."""
        return champion(self.opening, self.asked, self.answers)

    @property
    def champion_experiment(self) -> int:
        """Number of the champion's experiment; 0 is the starter's."""
        name = self.champion.id
        return next((a.experiment for a in self.asked if a.candidate.id == name), 0)

    @property
    def champion_dev(self) -> float | None:
        """Dev value of the champion: that of the attempt which promoted it, or the starter's own."""
        name = self.champion.id
        for asked in self.asked:
            if asked.candidate.id == name:
                return asked.dev
        return next((g.best for g in self.generations if g.experiments == 1), None)

    @property
    def measured(self) -> Estimate | None:
        """Value of the champion on data that nobody had queried; None before the first promotion."""
        return next((a.measured for a in reversed(self.answers) if a.promoted), None)

    @property
    def disclosed(self) -> dict[str, float]:
        """bits: information that the gate disclosed about val, by the content and the time of its answers. late: number
        of answers that missed their first release slot."""
        bits = sum(answer_bits(a.promoted, a.release_slot) for a in self.answers)
        return {"bits": round(bits, 3), "late": sum(a.release_slot > 0 for a in self.answers)}

    @property
    def seconds(self) -> float:
        """Of climbing, over all sessions, up to the last barrier."""
        return self.generations[-1].elapsed if self.generations else 0.0

    @property
    def cpu_seconds(self) -> float:
        """Of candidates and scorers, on dev draws and, once it is opened, for the sealed test."""
        return self.counted.cpu_s + (self.test.cpu_s if self.test else 0.0)

    def candidates(self) -> dict[int, Candidate]:
        """Experiment -> its files and parameters."""
        return {int(e): self.candidate(b, i) for b in self.blocks if b.begins for i, e in enumerate(b.experiments)}

    def candidate(self, block: BlockRecord, i: int) -> Candidate:
        """The i-th candidate of a block that begins its experiments."""
        return self.opening.candidate(block, i)

    def by_barrier(self) -> Iterator[tuple[Generation | None, list[BlockRecord]]]:
        """Every barrier with the blocks of its experiments; at the end None with those after the last barrier. Only
        the blocks of one barrier are in memory."""
        barriers, some = iter(self.generations), list[BlockRecord]()
        barrier = next(barriers, None)
        for block in self.blocks:
            while barrier is not None and block.experiments[0] >= barrier.experiments:
                yield barrier, some
                barrier, some = next(barriers, None), []
            some.append(block)
        while barrier is not None:
            yield barrier, some
            barrier, some = next(barriers, None), []
        yield None, some

    def dev_scores(self) -> tuple[dict[int, Floats], set[int]]:
        """Experiment -> its scores on the dev draws that it has seen: on draws 0, 1, ... of one that has seen them all,
        else from its first draw on (column `first_draw` of `frame`); and the set of experiments that did not end ok."""
        draws = len(self.opening.floors)
        parts: dict[int, list[Floats]] = {}
        failed: set[int] = set()
        first: dict[int, int] = {}
        for block in in_turn(self.blocks, draws):
            failed.update(int(block.experiments[i]) for i in block.outcomes)
            rows = block.scores.astype(np.float64)
            for experiment, row in zip(block.experiments.tolist(), rows, strict=True):
                parts.setdefault(experiment, []).append(row)
                first[experiment] = block.first_draw
        scores = {experiment: np.concatenate(rows) for experiment, rows in parts.items()}
        return {e: np.roll(row, first[e]) if len(row) == draws else row for e, row in scores.items()}, failed

    @overload
    def frame(self, to: Literal["pandas"]) -> pandas.DataFrame: ...
    @overload
    def frame(self, to: Literal["polars"]) -> polars.DataFrame: ...
    @overload
    def frame(self, to: Literal["dict"]) -> columns.Columns: ...
    @overload
    def frame(self, to: None = None) -> Any: ...
    def frame(self, to: Literal["pandas", "polars", "dict"] | None = None) -> Any:
        """The experiments as a table, one row each, in order; a proposal that repeats an earlier one has no row.

        to: "pandas" or "polars" for a DataFrame of that library, "dict" for name -> NumPy array of shape (rows,);
        None: the first of these that is installed.

        Columns: experiment: its number, from 0, the starter. generation: the number of its barrier, from 0; -1 after
        the last one. candidate: id, a sha256 in hex. params_NAME: one for each parameter of the task's space, as bool,
        int64, float64 or text; levels of mixed kinds as JSON text. dev: normalised mean over the draws that it has seen
        (0 at the floor, 1 at the ceiling); NaN where it did not end ok. Values over different numbers of draws are not
        comparable. draws: how many dev draws it has seen. first_draw: the one that it saw first; the others follow in
        order, and draw 0 comes after the last one. outcome: an `Outcome`. message: the candidate's own words where that
        is not "ok". cpu_s: seconds of CPU time, measured by block and divided evenly among its experiments. In a run
        with authors, author, parent (a candidate's id, or "") and params (one JSON object) stand in place of
        params_NAME.

        Raises UsageError for a library that is not installed.
        """
        return columns.frame(columns.joined([part.columns for part in self.parts()]), to)

    def parts(self) -> Iterator[columns.Part]:
        """The table of `frame` in parts, for a run too long for one table: the experiments of one barrier after the
        other, those after the last barrier last. columns: name -> (n,). scores: (n, draws), what the task scored on dev
        draws 0, 1, ..., NaN where an experiment did not see the draw."""
        return columns.parts(self.opening, self.by_barrier(), bool(self.counted.authored))

    def plot(self) -> Figure:
        """The climb as a figure that a notebook shows: the best dev value, the measured champions and the sealed test,
        over experiments; values are normalised. It needs no plotting library."""
        return Figure.of(drawing.climb(self.course, drawing.metric(self.opening.spec.task)))

    @property
    def course(self) -> drawing.Course:
        """What the figure of the climb is made of."""
        sealed = None if self.test is None else self.test.champion
        return drawing.Course(self.generations, self.asked, self.answers, sealed, self.experiments, self.seconds)

    def __repr__(self) -> str:
        test = "not opened" if self.test is None else self.test.champion.brief
        measured = "" if self.measured is None else f", measured {self.measured.brief}"
        return (
            f"RunHistory({self.path!r}: {self.opening.spec.task}, {self.experiments:,} experiments, {self._attempts},\n"
            f"    champion {self.champion.id[:12]}{measured}, sealed test {test})"
        )

    @property
    def _attempts(self) -> str:
        return f"{sum(a.promoted for a in self.answers)} of {len(self.answers)} attempts promoted"

    def _repr_html_(self) -> str:
        spec, dev = self.opening.spec, self.champion_dev
        failed = ", ".join(f"{n:,} {outcome}" for outcome, n in self.failures().items())
        rows = [
            ("sealed test", "not opened" if self.test is None else self.test.champion.brief),
            ("champion", self.champion.id[:12] + ("" if self.verdict is None else f", {self.verdict}")),
            ("measured on fresh data", "-" if self.measured is None else self.measured.brief),
            ("dev (practice)", "-" if dev is None else f"{dev:.3f}"),
            ("attempts", self._attempts),
            ("experiments", f"{self.experiments:,}" + (f" ({failed})" if failed else "")),
            ("climbed by", f"{spec.climber.label}, seed {spec.seed}, {self.seconds:,.0f} s"),
            ("run", self.path),
        ]
        return notebook.block(spec.task, rows, after=self.plot()._repr_html_())

    def scored(self, experiments: Collection[int]) -> dict[int, tuple[Candidate, Floats]]:
        """Candidates of some experiments and their scores (draws,) on dev, NaN where one did not see the draw, by one
        pass over the blocks. Those without a candidate are left out."""
        wanted, made = np.array(sorted(experiments), dtype=np.int64), dict[int, Candidate]()
        scores: dict[int, Floats] = {}
        for b in self.blocks:
            if np.searchsorted(wanted, b.experiments.min()) == np.searchsorted(wanted, b.experiments.max(), "right"):
                continue
            for i in np.flatnonzero(np.isin(b.experiments, wanted)).tolist():
                experiment = int(b.experiments[i])
                if experiment not in scores:
                    scores[experiment] = np.full(len(self.opening.floors), np.nan)
                scores[experiment][b.lo : b.hi] = b.scores[i]
                if b.begins:
                    made[experiment] = self.candidate(b, i)
        return {e: (candidate, scores[e]) for e, candidate in made.items()}

    def incidents(self, severity: str) -> list[tuple[int, Incident]]:
        """(experiment, incident) pairs, each kind once per experiment. Dev scores that change in isolation are an
        incident too."""
        found = dict(self.counted.seen)
        for experiment, incident in self._seen():  # a suspicion in a block may become proof in isolation
            merge(found, experiment, incident)
        return [(experiment, i) for (experiment, _), i in sorted(found.items()) if i.severity == severity]

    def _seen(self) -> Iterator[tuple[int, Incident]]:
        """Incidents in re-runs in isolation and, once the run is over, on hidden draws."""
        for asked in self.asked:
            yield from ((asked.experiment, incident) for incident in asked.incidents)
            if not asked.pure:
                yield asked.experiment, Incident("impure", "advisory", "its dev scores changed in isolation")
        sent = {asked.candidate.id: asked.experiment for asked in self.asked}
        for audited in self.audits:
            yield from ((sent.get(audited.candidate, -1), incident) for incident in audited.incidents)
        if self.test is not None and (gap := self.gap):
            yield sent.get(self.champion.id, 0), gap
        for candidate, seen in (self.test.incidents if self.test is not None else {}).items():
            yield from ((sent.get(candidate, -1), incident) for incident in seen)

    @property
    def gap(self) -> Incident | None:
        """The incident "overfit" if the champion's dev scores exceed its test scores by more than GAP and chance. It is
        advisory: overfitting is not cheating."""
        dev = self._champion_per_draw()
        if self.test is None or dev is None or self.opening.dev_partial_credit:
            return None
        pairs = min(len(dev), len(self.test.per_draw))
        meter = Gap(clip=1.0, margin=GAP)
        if not meter.update(dev[:pairs], self.test.per_draw[:pairs]):
            return None
        said = f"dev {dev.mean():.3f}, sealed test {self.test.per_draw.mean():.3f}; log e = {meter.log_e:.1f}"
        return Incident("overfit", "advisory", said)

    def _champion_per_draw(self) -> Floats | None:
        """(n,) normalised dev scores of the champion per draw; None if it did not see all of dev."""
        experiment, o = self.champion_experiment, self.opening
        scores = np.full(len(o.floors), np.nan)
        for b in self.blocks_of(experiment):
            scores[b.lo : b.hi] = b.scores[int(np.argmax(b.experiments == experiment))]
        if np.isnan(scores).any():
            return None
        return np.asarray((scores - o.floors) / (o.ceilings - o.floors).mean())

    @property
    def verdict(self) -> str | None:
        """The verdict on the champion (`verdict.py`); None before the test is open."""
        if self.test is None:
            return None
        experiment = self.champion_experiment
        seen = ((i.kind, s) for s in ("certain", "advisory") for e, i in self.incidents(s) if e == experiment)
        return verdict(seen, self.opening.answer_kinds)

    def failures(self) -> dict[str, int]:
        """Outcome -> number of experiments, for those that did not end ok."""
        return self.counted.failures()
