"""A cheat as a climber: a strategy against a live referee (real hub, vault, scorers), judged by its traces.

Four things are checked afterwards. The strategy pays off if an attempt was not counted, if a refusal disclosed more
than NOT YET, if a slice was used again after its PROMOTE, or if a candidate was promoted that does not beat the
champion on fresh draws. A strategy may also report itself how it paid off.
"""

from __future__ import annotations

import importlib.util
import time
from types import ModuleType

import msgspec
import numpy as np

from toprope.assay.redteam.climber_range import ClimberRange, Inconclusive, NotHere, Referee
from toprope.assay.redteam.corpus import Cheat
from toprope.assay.redteam.verdict import CheatVerdict, flag
from toprope.errors import TopropeError, UsageError

FRESH = 96  # draws on which a promotion is checked
SLICE = 10**6  # of `measure`, which no run will ever reach
SIGMAS = 2.0  # by which a promoted candidate must be better there; true promotions are far above


def judge(rig: ClimberRange, cheat: Cheat) -> CheatVerdict:
    """Runs the strategy, then its honest twin (its own, or one honest attempt), on the same referee."""
    began, where = time.monotonic(), rig.task.spec.id
    module = _module(cheat)
    try:
        observed, evidence = _climbed(rig, module, cheat.id)
    except NotHere as e:
        return CheatVerdict(cheat, "not run", str(e), where=where, seconds=time.monotonic() - began)
    except Inconclusive as e:
        return CheatVerdict(cheat, "blind", str(e), where=where, seconds=time.monotonic() - began)
    wrong = _twin(rig, module, cheat.id)
    return CheatVerdict(cheat, observed, evidence, not wrong, wrong, where, time.monotonic() - began)


def _module(cheat: Cheat) -> ModuleType:
    """Imports a climber cheat. It runs in this process and not in a sandbox, because a climber is the user's code."""
    spec = importlib.util.spec_from_file_location(f"toprope_redteam_{cheat.id.replace('-', '_')}", cheat.path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as e:
        raise UsageError(f"cheat {cheat.path}: cannot be loaded: {type(e).__name__}: {e}") from e
    return module


def _climbed(rig: ClimberRange, module: ModuleType, name: str) -> tuple[str, str]:
    rig.begin(name)
    try:
        said = module.climb(rig)
    except TopropeError as e:
        return _found(rig) or ("rejected", str(e))
    except (NotHere, Inconclusive):
        raise
    except Exception as e:
        raise UsageError(f"cheat {name}: climb(rig) failed: {type(e).__name__}: {e}") from e
    if said:
        return "pays", str(said)
    return _found(rig) or ("no gain" + flag(rig.incidents), rig.summary())


def _found(rig: ClimberRange) -> tuple[str, str] | None:
    """The first violation as ("pays", evidence); None without one."""
    for referee in rig.used:
        for look in (uncounted, talkative, reused, undeserved):
            if fault := look(rig, referee):
                return "pays", fault
    return None


def _twin(rig: ClimberRange, module: ModuleType, name: str) -> str:
    """What is wrong with honest use of the same referee; empty if nothing."""
    if not hasattr(module, "twin"):
        return rig.honest_climb
    rig.begin(f"{name} twin")
    try:
        said = module.twin(rig)
    except TopropeError as e:
        return f"the honest twin was refused: {e}"
    fault = _found(rig)
    return str(said or "") or (fault[1] if fault else "")


# ---------------------------------------------------------------- violations


def uncounted(rig: ClimberRange, referee: Referee) -> str:
    """A violation if an attempt has no number of its own in the vault; otherwise empty."""
    asked, counted = len(referee.asked), rig.vault.attempts(referee.run)
    numbers = [(a.slice, a.attempt) for a in {a.candidate: a for a in referee.answers}.values()]
    if counted < asked:
        return f"{asked} attempts were made and {counted} counted"
    if len(set(numbers)) < len(numbers):
        return "two candidates share the number of an attempt"
    return ""


def talkative(rig: ClimberRange, referee: Referee) -> str:
    """A violation if refusals differ in more than candidate and number; their times follow from the schedule."""
    words = set()
    for answer in referee.answers:
        if not answer.promoted:
            said = msgspec.structs.replace(answer, candidate="", attempt=0, slice=0, release_slot=0)
            words.add(str(said))
            if answer.measured is not None:
                return f"a refusal told a score: {answer.measured.value:.4f}"
    return "refusals differ in more than candidate and number" if len(words) > 1 else ""


def reused(rig: ClimberRange, referee: Referee) -> str:
    """A violation if a slice was used again after its PROMOTE; otherwise empty."""
    burned = 0
    for answer in referee.answers:
        if answer.slice <= burned and not answer.promoted:
            return f"slice {answer.slice} was used again after its PROMOTE"
        burned = max(burned, answer.slice if answer.promoted else 0)
    return ""


def undeserved(rig: ClimberRange, referee: Referee) -> str:
    """A violation if a promoted candidate does not beat the champion that it replaced, on draws that no run uses."""
    champion = rig.starter
    for answer in referee.answers:
        if not answer.promoted or answer.candidate == champion.id:
            continue
        candidate = referee.sent[answer.candidate]
        ours, theirs = (rig.stage.play(c.tree, "measure", FRESH, SLICE, c.params) for c in (candidate, champion))
        if np.isnan(ours.scores).any():
            return "a candidate was promoted that fails on fresh draws"
        difference = ours.scores - theirs.scores
        mean, error = float(difference.mean()), float(difference.std(ddof=1) / np.sqrt(FRESH))
        if mean <= SIGMAS * error:
            return f"PROMOTE for a candidate that is better by {mean:+.4f} ± {error:.4f} on fresh draws"
        champion = candidate
    return ""
