"""A cheat as a climber: a strategy against a live referee (real hub, vault, scorers), judged by what it left behind.

Whatever the strategy says, four things are looked at afterwards. It pays if an attempt was not counted, if a refusal
said more than NOT YET, if a slice was used again after its PROMOTE, or if something was promoted that is no better than
the champion on fresh draws. A strategy may also say itself how it paid.
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

FRESH = 96  # draws that a promotion is held against
SLICE = 10**6  # of `measure`, where no run will ever come
SIGMAS = 2.0  # by which a promoted candidate must be better there: a true promotion is far above


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
    """The one kind of cheat that is run here and not in a sandbox: a climber is the user's own code."""
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
    """The first thing that must not be; None if all is well."""
    for referee in rig.used:
        for look in (uncounted, talkative, reused, undeserved):
            if fault := look(rig, referee):
                return "pays", fault
    return None


def _twin(rig: ClimberRange, module: ModuleType, name: str) -> str:
    """What is wrong with honest use of the same referee: empty if nothing."""
    if not hasattr(module, "twin"):
        return rig.honest_climb
    rig.begin(f"{name} twin")
    try:
        said = module.twin(rig)
    except TopropeError as e:
        return f"the honest twin was refused: {e}"
    fault = _found(rig)
    return str(said or "") or (fault[1] if fault else "")


# ---------------------------------------------------------------- what must not be


def uncounted(rig: ClimberRange, referee: Referee) -> str:
    """Every candidate that was asked about on a slice has a number of its own in the vault."""
    asked, counted = len(referee.asked), rig.vault.attempts(referee.run)
    numbers = [(a.slice, a.attempt) for a in {a.candidate: a for a in referee.answers}.values()]
    if counted < asked:
        return f"{asked} attempts were made and {counted} counted"
    if len(set(numbers)) < len(numbers):
        return "two candidates share the number of an attempt"
    return ""


def talkative(rig: ClimberRange, referee: Referee) -> str:
    """All refusals say the same but for whom they answer. When they come is the schedule's affair."""
    words = set()
    for answer in referee.answers:
        if not answer.promoted:
            said = msgspec.structs.asdict(answer)
            words.add(
                tuple(str(v) for k, v in sorted(said.items()) if k not in ("candidate", "attempt", "slice", "tick"))
            )
            if answer.measured is not None:
                return f"a refusal told a score: {answer.measured.value:.4f}"
    return "refusals differ in more than whom they answer" if len(words) > 1 else ""


def reused(rig: ClimberRange, referee: Referee) -> str:
    """After a PROMOTE the slice is never seen again."""
    burned = 0
    for answer in referee.answers:
        if answer.slice <= burned and not answer.promoted:
            return f"slice {answer.slice} was used again after its PROMOTE"
        burned = max(burned, answer.slice if answer.promoted else 0)
    return ""


def undeserved(rig: ClimberRange, referee: Referee) -> str:
    """A promoted candidate is better than the champion it replaced, on draws that no run will ever use."""
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
