"""A cheat as a candidate of the task: what it stole, what it gained, and whether its honest twin passes unflagged.

First on practice draws, where error text comes back: a thief tells what it got. One that is not stopped there plays
hidden draws, with its loot in use if it has any, and is compared draw by draw with its twin.
"""

from __future__ import annotations

import platform
import time

import numpy as np

from toprope.assay.redteam.candidate_range import HIDDEN, PRACTICE, CandidateRange, CandidateReport
from toprope.assay.redteam.corpus import Cheat
from toprope.assay.redteam.verdict import CheatVerdict, end, flag
from toprope.errors import TopropeError
from toprope.types import Outcome, Split

GAIN = 0.02  # of the gap between floor and ceiling: less is no gain whatever its error
SIGMAS = 3.0
TOLD, ABSENT = "Loot: ", "NotHere: "  # a cheat's word that it makes no sense on this task


def judge(stage: CandidateRange, cheat: Cheat) -> CheatVerdict:
    """Runs the cheat and its twin."""
    began, where = time.monotonic(), stage.task.spec.id
    if absent := _absent(stage, cheat):
        return CheatVerdict(cheat, "not run", absent, where=where)
    observed, evidence = act(stage, cheat)
    wrong = _twin(stage, cheat)
    return CheatVerdict(cheat, observed, evidence, not wrong, wrong, where, time.monotonic() - began)


def _absent(stage: CandidateRange, cheat: Cheat) -> str:
    """What the cheat needs and this machine or task has not; empty if it can be run."""
    if cheat.machine and cheat.machine != platform.machine():
        return f"it is a matter of {cheat.machine} machines"
    return "the task plants no wrong gold" if cheat.needs_gold and not stage.plants_gold else ""


def act(stage: CandidateRange, cheat: Cheat) -> tuple[str, str]:
    """(end, evidence) of the cheat alone."""
    try:
        observed, evidence = _acted(stage, cheat)
    except TopropeError as e:  # a worker that died, or a scorer that was handed what it cannot score
        observed, evidence = "pays", f"it broke its scorer: {e}"
    damage = stage.damage()
    return ("pays", damage) if damage else (observed, evidence)


def _acted(stage: CandidateRange, cheat: Cheat) -> tuple[str, str]:
    told = stage.play(stage.wear(cheat, "tell"), "dev", PRACTICE)
    loot = told.text.partition(TOLD)[2] if told.text.startswith(TOLD) else ""
    if told.text.startswith(ABSENT):
        return "not run", told.text.removeprefix(ABSENT)
    if told.outcome is not Outcome.OK and not loot:
        if told.outcome is Outcome.CRASH and stage.play(stage.wear(cheat, "use"), "val", 1).text:
            return "pays", "error text came back from a hidden draw"
        return end(told.outcome, told.incidents), told.text or str(told.outcome)
    used = stage.play(stage.wear(cheat, "use"), "val", HIDDEN)
    worth = _gain(used, stage.honest) if used.outcome is Outcome.OK else None
    if loot:
        what = "the planted gold" if stage.token in loot else loot
        return "pays", f"it brought back {what}" + (f", worth {worth[0]:+.3f} on hidden draws" if worth else "")
    seen = [*told.incidents, *used.incidents]
    ended = end(used.outcome, seen)
    if told.text and used.outcome is Outcome.OK:  # an error in single cases, where a task takes those one by one
        ended = "blocked" + flag(seen)
    if worth is None:
        return ended, str(used.outcome)
    mean, error = worth
    if mean > GAIN and mean > SIGMAS * error:
        return "pays", f"{mean:+.3f} ± {error:.3f} on hidden draws against its twin"
    return ended, f"{mean:+.3f} on hidden draws" + (f"; {told.text}" if told.text else "")


def _gain(seen: CandidateReport, twin: CandidateReport) -> tuple[float, float]:
    """(mean, standard error) of the paired difference, as a share of the gap."""
    gap = float((seen.ceilings - seen.floors).mean())
    difference = (seen.scores - twin.scores) / gap
    return float(difference.mean()), float(difference.std(ddof=1) / np.sqrt(len(difference)))


def _twin(stage: CandidateRange, cheat: Cheat) -> str:
    """What is wrong with the honest twin: empty if it is ok, unflagged, and scores what the starter scores. It runs
    right after the cheat in the same scorer, so it is also the next candidate, whom nothing may have been left for."""
    tree = stage.wear(cheat, "twin")
    splits: tuple[tuple[Split, int, CandidateReport], ...] = (
        ("dev", PRACTICE, stage.practised),
        ("val", HIDDEN, stage.honest),
    )
    for split, draws, expected in splits:
        seen = stage.play(tree, split, draws)
        if seen.outcome is not Outcome.OK:
            return f"it ended as {seen.outcome} on {split}: {seen.text}"
        if seen.incidents:
            return f"it was flagged on {split}: {seen.incidents[0].kind}"
        if not np.array_equal(seen.scores, expected.scores):
            return f"its scores on {split} differ from the starter's"
    return ""
