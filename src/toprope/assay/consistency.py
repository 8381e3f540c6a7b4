"""What a ledger must be true to by itself, without running anything: order of entries, and figures that follow.

A hash chain shows that nothing was changed since it was made; somebody who makes the whole chain anew is not stopped by
it. These checks tie the entries to each other, so that one figure cannot be changed alone; `verify` ties them to what
running the candidates again gives.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from toprope.journal.history import Story
from toprope.journal.records import Ask
from toprope.protocols import Entry
from toprope.run.accounts import Quota
from toprope.run.race import Anchors
from toprope.types import Floats

LATE = 2**63
ONCE = ("ask", "open", "commit", "test")


def contradictions(entries: list[Entry], story: Story) -> Iterator[str]:
    """One line for everything that does not fit; none for a ledger that toprope wrote."""
    yield from _order([e.kind for e in entries])
    yield from _answers(story)
    yield from _authors(story)
    yield from _figures(story)


def _order(kinds: list[str]) -> Iterator[str]:
    for kind in ONCE:
        if kinds.count(kind) > 1:
            yield f"{kinds.count(kind)} entries of kind {kind!r}; there is at most one"
    if kinds[0] != "ask" or "sitting" not in kinds[: kinds.index("open")]:
        yield "the run does not begin with what was asked for and a sitting"
    if "test" in kinds and (kinds[-1] != "test" or "commit" not in kinds):
        yield "the test is opened after a commitment, and nothing is recorded after it"
    if "commit" in kinds and set(kinds[kinds.index("commit") + 1 :]) - {"sitting", "test"}:
        yield "the climb went on after its commitment"


def _answers(s: Story) -> Iterator[str]:
    """Every answer has its question, attempts count from 1 on their slice, and a PROMOTE ends the slice."""
    asked = {a.candidate.id for a in s.asked if a.clean}
    slice_, number = 1, 0
    for answer in s.answers:
        number += 1
        if answer.candidate not in asked:
            yield f"the answer about {answer.candidate[:12]} has no question"
        if (answer.slice, answer.attempt) != (slice_, number):
            yield f"attempt {number} on slice {slice_} is recorded as {answer.attempt} on {answer.slice}"
        if answer.promoted != (answer.measured is not None):
            yield f"attempt {number} on slice {slice_}: a measurement comes with a PROMOTE and only with one"
        if answer.promoted:
            slice_, number = slice_ + 1, 0
    unheard = asked - {a.candidate for a in s.answers}
    if len(unheard) > 1:  # one, if the climb was killed and never resumed
        yield f"{len(unheard)} questions to the gate have no answer"
    if s.committed is not None and s.committed.candidate != s.champion.id:
        yield f"the candidate committed to is not the champion {s.champion.id[:12]}"


def _authors(s: Story) -> Iterator[str]:
    """What a desk would not have written: a candidate made from a later one, more than an author may ask."""
    if all(b.author is None for b in s.blocks):
        return
    quota = Quota.of(s.opening.plan)
    when: dict[str, int] = {c.id: e for e, c in sorted(s.candidates().items(), reverse=True)}
    experiments: dict[str, int] = {}
    attempts: dict[str, int] = {}
    for b in s.blocks:
        if (a := b.author) is None:
            continue
        experiments[a.name] = experiments.get(a.name, 0) + 1
        if a.parent and when.get(a.parent, LATE) >= int(b.experiments[0]):
            yield f"experiment {b.experiments[0]} names a parent that nobody had made"
    for x in s.asked:
        if x.author:
            attempts[x.author] = attempts.get(x.author, 0) + 1
            if x.made <= x.experiment:
                yield f"experiment {x.experiment} went to the gate before it was made"
    for what, most, counts in (("experiments", quota.experiments, experiments), ("attempts", quota.attempts, attempts)):
        for name, n in counts.items():
            if n > most:
                yield f"author {name} made {n} {what}, and {most} are all it may"


def _figures(s: Story) -> Iterator[str]:
    """What the ledger says of experiments follows from the scores it holds."""
    o = s.opening
    if s.ask is not None and any(getattr(s.ask, f) != getattr(o, f) for f in Ask.__struct_fields__):
        yield "the run that was opened is not the one that was asked for"
    scores, failed = dev_scores(s)
    first = {e for b in s.blocks if b.lo == 0 and len(b.rows) == len(b.experiments) for e in b.experiments.tolist()}
    if first != set(scores) or any(b.scores.shape != (len(b.experiments), b.hi - b.lo) for b in s.blocks):
        yield "some block has no candidates, or other scores than draws"
        return
    anchors, draws = Anchors(o.floors, o.ceilings), len(o.floors)
    whole = {e: float(anchors.value(x)) for e, x in scores.items() if len(x) == draws and e not in failed}
    for asked in s.asked:
        if whole.get(asked.experiment) != asked.dev:
            yield f"dev value {asked.dev} of experiment {asked.experiment} does not follow from its scores"
    for i, generation in enumerate(s.generations):
        known = [v for e, v in whole.items() if e < generation.experiments]
        if generation.number != i or generation.best != (max(known) if known else None):
            yield f"generation {i}: its number or best value {generation.best} does not follow from the scores"


def dev_scores(s: Story) -> tuple[dict[int, Floats], set[int]]:
    """Experiment -> its scores on dev draws 0, 1, ... in order, and the experiments that did not end ok."""
    scores: dict[int, Floats] = {}
    failed: set[int] = set()
    for block in sorted(s.blocks, key=lambda b: b.lo):
        for i, experiment in enumerate(block.experiments.tolist()):
            row = block.scores[i].astype(np.float64)
            scores[experiment] = np.concatenate([scores[experiment], row]) if experiment in scores else row
            if i in block.outcomes:
                failed.add(experiment)
    return scores, failed
