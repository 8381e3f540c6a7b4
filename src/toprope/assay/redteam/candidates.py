"""A cheat as a candidate of the task: what it stole, what it gained, and whether its honest twin is not flagged.

It first runs on practice draws, where error text comes back and carries out what it stole. If it is not stopped there,
it runs on hidden draws, uses what it stole, and is compared draw by draw with its twin.
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

GAIN = 0.02  # of the gap between floor and ceiling: less does not count as a gain, whatever its error
SIGMAS = 3.0
TOLD, ABSENT = (
    "Loot: ",
    "NotHere: ",
)  # prefixes of error text: what was stolen; why the cheat does not apply to this task


def judge(stage: CandidateRange, cheat: Cheat) -> CheatVerdict:
    """Runs the cheat and its twin."""
    began, where = time.monotonic(), stage.task.spec.id
    if absent := _absent(stage, cheat):
        return CheatVerdict(cheat, "not run", absent, where=where)
    observed, evidence = act(stage, cheat)
    wrong = _twin(stage, cheat)
    return CheatVerdict(cheat, observed, evidence, not wrong, wrong, where, time.monotonic() - began)


def _absent(stage: CandidateRange, cheat: Cheat) -> str:
    """Why the cheat cannot run on this machine or task; empty if it can."""
    if cheat.machine and cheat.machine != platform.machine():
        return f"it needs a {cheat.machine} machine"
    return "the task plants no wrong gold" if cheat.needs_gold and not stage.plants_gold else ""


def act(stage: CandidateRange, cheat: Cheat) -> tuple[str, str]:
    """(end, evidence) of the cheat, without its twin."""
    try:
        observed, evidence = _acted(stage, cheat)
    except TopropeError as e:  # a worker died, or a scorer got something that it cannot score
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
    if told.text and used.outcome is Outcome.OK:  # an error in single cases, on a task that scores them one by one
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
    """What is wrong with the honest twin: empty if it is ok, not flagged, and scores the same as the starter. It runs
    right after the cheat in the same scorer, so it also shows whether the cheat left something behind."""
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
