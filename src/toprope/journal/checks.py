"""Do a ledger's records make sense together? The chain shows that nobody edited it; anybody can chain nonsense.

A stranger's run is read by `report` and `export` without being run again (that is `verify`), so every number that is
shown must be one and every reference must lead somewhere. What a killed run lacks is no fault: blocks may be missing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from toprope import seeding
from toprope.errors import RunError
from toprope.journal.records import Asked, BlockRecord, Opening
from toprope.space import MAX_LEVELS, Space
from toprope.stats.intervals import Estimate
from toprope.types import Outcome

if TYPE_CHECKING:
    from toprope.journal.history import Story

LARGEST = 1e12  # of any number in a run, in seconds, experiments or units of a score
WIDEST = 1e20  # of a normalised value: a score of 1e9 over the smallest gap that a run may have
FAILED = {str(o) for o in Outcome if o is not Outcome.OK}


def check(s: Story) -> None:
    """Raises RunError naming the first thing that cannot be."""
    for fault in _faults(s):
        raise RunError(f"run {s.path}: its ledger makes no sense, {fault}; restore it from a copy")


def _faults(s: Story) -> Iterator[str]:
    yield from _opening(s.opening)
    names: set[str] = set()
    for block in s.blocks:
        if block.id in names:
            yield f"block {block.id!r} stands there twice"
        names.add(block.id)
        yield from _block(block, s.opening)
    for i, g in enumerate(s.generations):
        if g.number != i or not _number(g.elapsed, g.experiments, g.pruned, g.cached) or not _value(g.best or 0.0):
            yield f"generation {i} is none"
    for i, f in enumerate(s.findings):
        if f.number != i + 1 or not _named(f.author) or not _named(f.kind):
            yield f"finding {i + 1} is none"
    for spent in s.spent:
        if not _named(spent.author) or not _number(spent.tokens, spent.dollars, spent.elapsed):
            yield f"what {spent.author[:64]!r} spent is no number"
    for ended in s.ended:
        if not _named(ended.author) or len(ended.why) > 1000:
            yield f"the end of author {ended.author[:64]!r} has an unknown reason or a number that is not finite"
    for q in s.queried:
        if not _named(q.author) or not _number(q.bytes, q.seconds):
            yield f"what {q.author[:64]!r} asked the oracle has a number that is negative or not finite"
    if not all(len(r.key) == 32 and _number(r.tokens, r.dollars) for r in s.replies):
        yield "a reply of a model is none"
    yield from _gate(s)
    yield from _test(s)


def _opening(o: Opening) -> Iterator[str]:
    draws = o.floors.shape
    if len(draws) != 1 or not draws[0] or o.ceilings.shape != draws:
        yield f"floors and ceilings of shapes {draws} and {o.ceilings.shape}"
    elif not (_finite(o.floors) and _finite(o.ceilings)):
        yield "a floor or ceiling is no number"
    if not _number(o.started, o.detectable, o.seed, o.number):
        yield "a date, number or seed of its opening is none"
    budgets = [b for b in (o.experiments, o.minutes) if b is not None]
    if not budgets or not all(0 < b <= LARGEST for b in budgets):
        yield "its budget is none"
    if not _writable(o.protection):
        yield "its protection is no JSON"
    yield from _space(o.space)


def _space(space: Space) -> Iterator[str]:
    if len({d.name for d in space.dims}) != len(space.dims):
        yield "two parameters of one name"
    for d in space.dims:
        if not (0 < len(d.levels) <= MAX_LEVELS and 0 <= d.default < len(d.levels)):
            yield f"parameter {d.name[:80]!r} has no default among its levels"
        if not _writable(d.levels):
            yield f"parameter {d.name[:80]!r} has levels that are no JSON"


def _block(b: BlockRecord, o: Opening) -> Iterator[str]:
    k, sizes = b.experiments.size, o.space.sizes
    if b.experiments.shape != (k,) or not k or not 0 <= b.lo < b.hi <= len(o.floors):
        yield f"block {b.id[:80]!r} is about no draws or no experiments"
        return
    rows = (k if b.lo == 0 else 0, len(sizes))
    if b.scores.shape != (k, b.hi - b.lo) or b.rows.shape != rows or (b.rows > sizes).any():
        yield f"block {b.id[:80]!r} has scores or rows of other shapes"
        return
    if (
        not set(b.outcomes) | set(b.messages) | set(b.incidents) <= set(range(k))
        or not set(b.outcomes.values()) <= FAILED
    ):
        yield f"block {b.id[:80]!r} has an outcome that is none"
    if (a := b.author) is not None and (k > 1 or b.lo or not _named(a.name) or not _writable(a.candidate.params)):
        yield f"block {b.id[:80]!r} has an author who is none"
    ended = np.isin(np.arange(k), list(b.outcomes))
    if not (_finite(b.scores[~ended]) and np.isnan(b.scores[ended]).all() and _number(b.cpu_s, b.wall_s)):
        yield f"block {b.id[:80]!r} has a score that is no number, or one where there is none"


def _gate(s: Story) -> Iterator[str]:
    asked: dict[str, Asked] = {}
    for a in s.asked:
        sent = (a.made, a.experiment) if a.author == "" or _named(a.author) else (-1,)
        if not _writable(a.candidate.params) or not _value(a.dev) or not _number(*sent):
            yield f"the attempt of experiment {a.experiment} holds no candidate"
            return
        if asked.setdefault(a.candidate.id, a) is not a:
            yield f"candidate {a.candidate.id[:12]} was sent to the gate twice"
    answers: set[str] = set()
    for answer in s.answers:
        if answer.candidate not in asked or answer.candidate in answers:
            yield f"candidate {answer.candidate[:12]!r} has an answer that nobody asked for"
            return
        answers.add(answer.candidate)
        if answer.promoted != (answer.measured is not None) or not _estimates(answer.measured):
            yield f"candidate {answer.candidate[:12]} has a promotion without its measurement, or the reverse"


def _test(s: Story) -> Iterator[str]:
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
        yield "its test has gains over other baselines, or counts that are none"
    if not all(len(r.key) == 32 and _number(r.tokens, r.dollars) for r in test.replies):
        yield "a reply of a model to its hidden work is none"
    if not _estimates(test.champion, *test.baselines.values(), *test.gains.values()):
        yield "its test holds a number that is none"


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
