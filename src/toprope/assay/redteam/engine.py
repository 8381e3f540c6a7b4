"""`toprope redteam TASK`: runs every cheat of a corpus against one task and reports whether cheating pays off.

Candidate cheats attack a scorer with planted gold, climber cheats a live referee. Both are the real programs; the
engine adds only something to steal and the checks afterwards. Draws come from a fixed secret, so two runs of the same
corpus end the same.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from toprope.assay.redteam import candidates, climbers, corpus
from toprope.assay.redteam.candidate_range import CandidateRange
from toprope.assay.redteam.climber_range import ClimberRange
from toprope.assay.redteam.corpus import CLASSES, Cheat
from toprope.assay.redteam.verdict import CheatVerdict
from toprope.errors import UsageError
from toprope.tasks import registry

OnVerdict = Callable[[CheatVerdict, int, int], None]  # (verdict, number done, number of all cheats)


class Grounds:
    """A candidate range and a climber range per task, made when first needed. off: layers switched off, for tests."""

    def __init__(self, tier: str, off: frozenset[str] = frozenset(), seed: int = 0) -> None:
        self._tier, self._off, self._seed = tier, off, seed
        self._stages: dict[str, CandidateRange] = {}
        self._rigs: dict[str, ClimberRange] = {}
        self._exit = contextlib.ExitStack()

    def stage(self, task_id: str) -> CandidateRange:
        if task_id not in self._stages:
            stage = CandidateRange(task_id, self._tier, off=self._off, seed=self._seed)
            self._stages[task_id] = self._exit.enter_context(stage)
        return self._stages[task_id]

    def rig(self, task_id: str) -> ClimberRange:
        if task_id not in self._rigs:
            self._rigs[task_id] = self._exit.enter_context(ClimberRange(self.stage(task_id)))
        return self._rigs[task_id]

    def judge(self, cheat: Cheat, task_id: str) -> CheatVerdict:
        if cheat.kind == "candidate":
            return candidates.judge(self.stage(task_id), cheat)
        return climbers.judge(self.rig(cheat.on or task_id), cheat)

    def __enter__(self) -> Grounds:
        return self

    def __exit__(self, *_: object) -> None:
        self._exit.close()


def chosen(only: str | None, folder: Path | None) -> list[Cheat]:
    """The cheats of a folder (None: the shipped ones) that --only names. Raises UsageError for a malformed file."""
    cheats = corpus.load(folder or corpus.SHIPPED)
    for cheat in cheats:
        if cheat.on:
            registry.known(cheat.on)
    return corpus.only(cheats, only)


def run(
    task_id: str,
    cheats: Iterable[Cheat],
    tier: str,
    on_verdict: OnVerdict = lambda *_: None,
    *,
    off: frozenset[str] = frozenset(),
) -> dict[str, Any]:
    """The JSON object of `toprope redteam`. off: layers switched off, which the command line cannot do."""
    began, cheats = time.monotonic(), list(cheats)
    if not cheats:
        raise UsageError("the list of cheats is empty; name at least one")
    verdicts: list[CheatVerdict] = []
    with Grounds(tier, off) as grounds:
        # candidates first, then climbers: each kind keeps its processes to itself
        for cheat in sorted(cheats, key=lambda c: (c.kind, c.on, int(c.cls[1:]), c.id)):
            verdicts.append(grounds.judge(cheat, task_id))
            on_verdict(verdicts[-1], len(verdicts), len(cheats))
        protection = grounds.stage(task_id).pool.protection
    verdicts.sort(key=lambda v: (int(v.cheat.cls[1:]), v.cheat.id))
    return {
        "ok": all(v.ok for v in verdicts),
        "task": task_id,
        "cheats": [v.as_json() for v in verdicts],
        "classes": {name: CLASSES[name] for name in CLASSES if any(v.cheat.cls == name for v in verdicts)},
        "paid": [v.cheat.id for v in verdicts if v.pays],
        "protection": protection,
        "seconds": round(time.monotonic() - began, 1),
    }
