"""Checks that a ledger's records are consistent. The hash chain cannot show this: anybody can chain nonsense.

`faults` and `block` run whenever a run is read: `report` and `export` show a stranger's run without running it again,
so every number that is shown must be finite and every reference must exist. Records that a killed run lacks are not a
fault: blocks may be missing.

`contradictions` is for `verify`. It ties the entries of a run without faults to each other, so that a forger who makes
a new chain cannot change a single figure; running the candidates again ties the entries to what they really score.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toprope import seeding
from toprope.journal.history import RunHistory
from toprope.journal.records import NOTE_MAX, AttemptRecord, BlockRecord, Opening
from toprope.journal.spec import Plan
from toprope.protocols import Entry
from toprope.space import MAX_LEVELS, Space
from toprope.stats.intervals import Estimate
from toprope.types import Anchors, Floats, Outcome

LATE = 2**63  # after every experiment
LARGEST = 1e12  # of any number in a run, in seconds, experiments or units of a score
WIDEST = 1e20  # of a normalised value: a score of 1e9 over the smallest gap that a run may have
FAILED = {str(o) for o in Outcome if o is not Outcome.OK}


def faults(s: RunHistory) -> Iterator[str]:
    """One line for each fault outside the blocks; empty for a run that toprope wrote, even if it was killed."""
    yield from _opening(s.opening)
    for i, g in enumerate(s.generations):
        if g.number != i or not _number(g.elapsed, g.experiments, g.pruned, g.cached) or not _value(g.best or 0.0):
            yield f"generation {i} has a wrong number or a figure that is not finite"
    for i, final in enumerate(s.finals):
        k = final.experiments.size
        if final.number != i + 1 or not k or final.scores.ndim != 2 or len(final.scores) != k:
            yield f"finals {i + 1} have a wrong number, or not one row of scores per candidate"
        elif not _finite(final.scores[~np.isnan(final.scores)]):
            yield f"finals {i + 1} have a score that is not finite"
    for i, f in enumerate(s.findings):
        if f.number != i + 1 or not _named(f.author) or not _named(f.kind):
            yield f"finding {i + 1} has a wrong number or a name that cannot be printed"
    yield from _notes(s)
    for spent in s.spent:
        if not _named(spent.author) or not _number(spent.tokens, spent.dollars, spent.elapsed):
            yield f"the bill of author {spent.author[:64]!r} is negative or not finite"
    for ended in s.ended:
        if not _named(ended.author) or len(ended.why) > 1000:
            yield f"the end of author {ended.author[:64]!r} has an unknown reason or a number that is not finite"
    for q in s.queried:
        if not _named(q.author) or not _number(q.bytes, q.seconds):
            yield f"the oracle's bill of author {q.author[:64]!r} is negative or not finite"
    if not all(len(r.key) == 32 and _number(r.tokens, r.dollars) for r in s.replies):
        yield "a reply of a model has a wrong key or a figure that is negative or not finite"
    yield from _gate(s)
    yield from _test(s)


def _notes(s: RunHistory) -> Iterator[str]:
    if s.notes and s.opening.spec.plan is None:
        yield "it holds notes to authors, and has no authors"
    if len({n.id for n in s.notes}) < len(s.notes):
        yield "it holds one note twice"
    made = 0
    for i, n in enumerate(s.notes):
        named = (n.to == "" or _named(n.to)) and _named(n.id) and 0 < len(n.text) <= NOTE_MAX
        if n.number != i + 1 or not named or not _number(n.sent) or not made <= n.experiments <= LARGEST:
            yield f"note {i + 1} has a wrong number, a name that cannot be printed, or too many words"
            return
        made = n.experiments


def _opening(o: Opening) -> Iterator[str]:
    draws = o.floors.shape
    if len(draws) != 1 or not draws[0] or o.ceilings.shape != draws:
        yield f"floors and ceilings have shapes {draws} and {o.ceilings.shape}, expected two equal (draws,)"
    elif not (_finite(o.floors) and _finite(o.ceilings)):
        yield "a floor or ceiling is not finite"
    if not _number(o.started, o.detectable, o.spec.seed, o.number):
        yield "its opening has a date, number or seed that is negative or not finite"
    budgets = [b for b in (o.spec.experiments, o.spec.minutes) if b is not None]
    if not budgets or not all(0 < b <= LARGEST for b in budgets):
        yield "its budget is missing or out of range"
    if not _writable(o.protection):
        yield "its protection cannot be written as JSON"
    yield from _space(o.space)


def _space(space: Space) -> Iterator[str]:
    if len({d.name for d in space.dims}) != len(space.dims):
        yield "two parameters have the same name"
    for d in space.dims:
        if not (0 < len(d.levels) <= MAX_LEVELS and 0 <= d.default < len(d.levels)):
            yield f"parameter {d.name[:80]!r} has no default among its levels"
        if not _writable(d.levels):
            yield f"parameter {d.name[:80]!r} has levels that cannot be written as JSON"


def block(b: BlockRecord, o: Opening) -> Iterator[str]:
    """One line for each fault of a block, which is told from the opening alone."""
    k, sizes = b.experiments.size, o.space.sizes
    if b.experiments.shape != (k,) or not k or not 0 <= b.lo < b.hi <= len(o.floors) > b.first_draw >= 0:
        yield f"block {b.id[:80]!r} has no experiments, or draws out of range"
        return
    rows = (k if b.begins else 0, len(sizes))
    if b.scores.shape != (k, b.hi - b.lo) or b.rows.shape != rows or (b.rows > sizes).any():
        yield f"block {b.id[:80]!r} has scores or rows of a wrong shape or value"
        return
    if (
        not set(b.outcomes) | set(b.messages) | set(b.incidents) <= set(range(k))
        or not set(b.outcomes.values()) <= FAILED
    ):
        yield f"block {b.id[:80]!r} has an outcome that does not exist or belongs to no variant"
    alone = k == 1 and b.lo == b.first_draw == 0
    if (a := b.author) is not None and not (alone and _named(a.name) and _writable(a.candidate.params)):
        yield f"block {b.id[:80]!r} has an author whose name cannot be printed, or more than one candidate of an author"
    ended = np.isin(np.arange(k), list(b.outcomes))
    if not (_finite(b.scores[~ended]) and np.isnan(b.scores[ended]).all() and _number(b.cpu_s, b.wall_s)):
        yield f"block {b.id[:80]!r} has a score that is not finite, or a score of a failed variant"


def _gate(s: RunHistory) -> Iterator[str]:
    asked: dict[str, AttemptRecord] = {}
    for a in s.asked:
        sent = (a.run_experiments, a.experiment) if a.author == "" or _named(a.author) else (-1,)
        if not _writable(a.candidate.params) or not _value(a.dev) or not _number(*sent):
            yield f"the attempt of experiment {a.experiment} has an invalid candidate, value or author"
            return
        if asked.setdefault(a.candidate.id, a) is not a:
            yield f"candidate {a.candidate.id[:12]} was sent to the gate twice"
    answers: set[str] = set()
    for answer in s.answers:
        if answer.candidate not in asked or answer.candidate in answers:
            yield f"candidate {answer.candidate[:12]!r} has an answer without an attempt, or two answers"
            return
        answers.add(answer.candidate)
        if answer.promoted != (answer.measured is not None) or not _estimates(answer.measured):
            yield f"candidate {answer.candidate[:12]} has a promotion without its measurement, or the reverse"


def _test(s: RunHistory) -> Iterator[str]:
    test, committed = s.test, s.committed
    if committed is not None and committed.candidate != s.champion.id:
        yield "it committed to a candidate that is not its champion"
    if test is None:
        return
    if committed is None:
        yield "its test was opened without a commitment"
    if seeding.commitment(test.secret) != s.opening.commitment:
        yield "the revealed secret is not the one committed to"
    if set(test.gains) != set(test.baselines) or test.opening < 1 or not _number(test.draws, test.opening, test.cpu_s):
        yield "its test has gains over other baselines, or counts that are out of range"
    if not all(len(r.key) == 32 and _number(r.tokens, r.dollars) for r in test.replies):
        yield "a reply of a model to its hidden work has a wrong key or a figure that is not finite"
    if not _estimates(test.champion, *test.baselines.values(), *test.gains.values()):
        yield "its test holds an estimate that is not finite"


def _estimates(*some: Estimate | None) -> bool:
    return all(e is None or _value(e.value, e.lo, e.hi, e.se) for e in some)


def _value(*some: float) -> bool:
    return all(abs(x) <= WIDEST for x in some)  # NaN is not


def _number(*some: float, least: float = 0.0) -> bool:
    return all(least <= x <= LARGEST for x in some)  # NaN is neither


def _finite(a: np.ndarray[Any, Any]) -> bool:
    return bool((np.abs(a) <= LARGEST).all())


def _writable(value: Any) -> bool:
    try:
        json.dumps(value, allow_nan=False)
    except (ValueError, TypeError, RecursionError):
        return False
    return True


def _named(name: str) -> bool:
    return 0 < len(name) <= 64 and name.isprintable()


# ---------------------------------------------------------------- what follows from what


def contradictions(entries: list[Entry], history: RunHistory) -> Iterator[str]:
    """One line for each contradiction in a ledger without faults; empty for a ledger that toprope wrote."""
    yield from _order([e.kind for e in entries])
    yield from _answers(history)
    yield from _authors(history)
    yield from _figures(history)


def _order(kinds: list[str]) -> Iterator[str]:
    if kinds[0] != "ask" or "sitting" not in kinds[: kinds.index("open")]:
        yield "the run does not begin with its spec and a session"
    if "test" in kinds and (kinds[-1] != "test" or "commit" not in kinds):
        yield "the test was opened without a commitment, or entries follow it"
    if "commit" in kinds and set(kinds[kinds.index("commit") + 1 :]) - {"sitting", "test"}:
        yield "the climb went on after its commitment"


def _answers(s: RunHistory) -> Iterator[str]:
    """Every answer has an attempt, attempts on a slice are numbered from 1, and a PROMOTE ends the slice."""
    asked = {a.candidate.id for a in s.asked if a.clean}
    slice_, number = 1, 0
    for answer in s.answers:
        number += 1
        if answer.candidate not in asked:
            yield f"the answer about {answer.candidate[:12]} has no attempt that was sent"
        if (answer.slice, answer.attempt) != (slice_, number):
            yield f"attempt {number} on slice {slice_} is recorded as {answer.attempt} on {answer.slice}"
        if answer.promoted:
            slice_, number = slice_ + 1, 0
    unheard = asked - {a.candidate for a in s.answers}
    if len(unheard) > 1:  # a climb that was killed and not resumed has one
        yield f"{len(unheard)} attempts at the gate have no answer"


def _authors(s: RunHistory) -> Iterator[str]:
    """What `Submissions` never writes: a candidate made from a later one, or an author beyond its quota."""
    if not s.counted.authored:
        return
    plan = s.opening.spec.plan or Plan()
    when: dict[str, int] = {c.id: e for e, c in sorted(s.candidates().items(), reverse=True)}
    experiments: dict[str, int] = {}
    attempts: dict[str, int] = {}
    for b in s.authored:
        a = b.author
        assert a is not None
        experiments[a.name] = experiments.get(a.name, 0) + 1
        if a.parent and when.get(a.parent, LATE) >= int(b.experiments[0]):
            yield f"experiment {b.experiments[0]} names a parent that did not exist then"
    for x in s.asked:
        if x.author:
            attempts[x.author] = attempts.get(x.author, 0) + 1
            if x.run_experiments <= x.experiment:
                yield f"experiment {x.experiment} was sent to the gate before it was made"
    for what, most, counts in (("experiments", plan.experiments, experiments), ("attempts", plan.attempts, attempts)):
        for name, n in counts.items():
            if n > most:
                yield f"author {name} made {n} {what}, and may make at most {most}"


def _figures(s: RunHistory) -> Iterator[str]:
    """Recorded values of experiments must follow from the scores in the ledger."""
    o = s.opening
    if s.spec is not None and s.spec != o.spec:
        yield "the spec in the opening differs from the spec in the first entry"
    anchors, draws = Anchors(o.floors, o.ceilings), len(o.floors)
    sent = {asked.experiment for asked in s.asked}
    whole: dict[int, float] = {}  # of those that were sent
    best = None
    for barrier, blocks in s.by_barrier():
        values = {}
        if blocks:
            experiments, scores = assembled(blocks, draws)
            if experiments is None or (barrier is not None and experiments[-1] >= barrier.experiments):
                yield "a block holds scores of experiments without candidates, or of two barriers"
                return
            full = np.flatnonzero(~np.isnan(scores).any(axis=1))
            values = dict(zip(experiments[full].tolist(), anchors.value(scores[full]).tolist(), strict=True))
        whole |= {e: values[e] for e in sent & values.keys()}
        if barrier is not None:
            best = max([*values.values(), *([best] if best is not None else [])], default=None)
            if barrier.best != best:
                yield f"generation {barrier.number}: its best value {barrier.best} does not follow from the scores"
    for asked in s.asked:
        if whole.get(asked.experiment) != asked.dev:
            yield f"dev value {asked.dev} of experiment {asked.experiment} does not follow from its scores"


def assembled(blocks: list[BlockRecord], draws: int) -> tuple[NDArray[np.uint32] | None, Floats]:
    """The experiments (k,) of some blocks in order, and their scores (k, draws) on dev: NaN in the whole row of one
    that did not end ok or has two scores for a draw. (None, nothing) if a block has an experiment without candidate."""
    first = [b.experiments for b in blocks if b.begins]
    experiments = np.unique(np.concatenate(first)) if first else np.empty(0, dtype=np.uint32)
    scores, count = np.full((len(experiments), draws), np.nan), np.zeros(len(experiments), dtype=np.int64)
    spoiled = np.zeros(len(experiments), dtype=bool)
    for b in blocks:
        at = np.searchsorted(experiments, b.experiments)
        if (at >= len(experiments)).any() or (experiments[at] != b.experiments).any():
            return None, np.empty((0, draws))
        scores[at, b.lo : b.hi] = b.scores
        np.add.at(count, at, b.hi - b.lo)
        spoiled[at[list(b.outcomes)]] = True
    scores[spoiled | (count > draws)] = np.nan
    return experiments, scores
