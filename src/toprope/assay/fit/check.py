"""The checks of `toprope check TASK` in their order, and a whole climb on the null-skill twin, whose gold no candidate
can know."""

from __future__ import annotations

import secrets
import tempfile
from pathlib import Path

import msgspec

from toprope import notebook
from toprope.assay.fit.answers import null_answers
from toprope.assay.fit.candidates import candidates, probes_in
from toprope.assay.fit.card import card
from toprope.assay.fit.conditions import conditions
from toprope.assay.fit.draws import anchors, repeats
from toprope.assay.fit.elsewhere import repeats_elsewhere
from toprope.assay.fit.row import Check
from toprope.assay.fit.tier import tier as tier_above
from toprope.errors import TopropeError
from toprope.journal.spec import RunSpec
from toprope.protocols import Progress, Task
from toprope.run.driver import climbed
from toprope.sandbox.selftest import Choice
from toprope.tasks import registry
from toprope.types import Candidate

NULL_EXPERIMENTS = 96


class Admission(msgspec.Struct, frozen=True):
    """Whether a task is fit to be climbed. The fields are those of `toprope check --json`. public_secrets: what a
    stranger can read of it that a certifying vault must replace."""

    task: str
    admitted: bool
    checks: list[Check]
    public_secrets: list[str]

    def _repr_html_(self) -> str:
        words = {True: "ok", False: "NO"}
        rows = [
            ("advice" if c.advice and not c.ok else words[c.ok], c.name, f"{c.value:g}", f"{c.limit:g}", c.why)
            for c in self.checks
        ]
        title = f"{self.task}: {'admitted' if self.admitted else 'not admitted'}"
        return notebook.block(title, rows, ("", "check", "value", "limit", "why"))


def check(task_id: str, probes: Path | None, tier: str, workers: int, progress: Progress) -> Admission:
    """probes: a directory of candidate directories that must not score."""
    task = registry.load(task_id)
    extra = probes_in(probes, task) if probes is not None else {}
    checks = list(_draws(task, workers, progress))
    if all(c.value > 0 for c in checks if c.name == "gap"):  # without a gap nothing has a value
        checks += _played(task, tier, workers, extra, progress)
    return Admission(task_id, all(c.admits for c in checks), checks, task.spec.public_secrets)


def _draws(task: Task, workers: int, progress: Progress) -> list[Check]:
    for split in ("dev", "measure"):
        task.prepare(split, progress)
    found = [*card(task), repeats(task)]
    progress("draws in other processes", 0.1)
    return [*found, repeats_elsewhere(task.spec.id, workers), *anchors(task)]


def _played(task: Task, tier: str, workers: int, probes: dict[str, Candidate], progress: Progress) -> list[Check]:
    progress("null answers", 0.2)
    found = [null_answers(task)]

    def played(share: float) -> None:
        progress("baselines and probes in the sandbox", 0.3 + 0.2 * share)

    played(0.0)
    found += candidates(task, secrets.token_bytes(16), tier, workers, probes, played)
    progress("parameters without effect", 0.5)
    found += conditions(task, workers)
    progress("methods one tier up", 0.6)
    found += tier_above(task, workers)
    progress("a climb on the null-skill twin", 0.7)
    return [*found, null_twin(task.spec.id, tier, workers)]


def null_twin(task_id: str, tier: str, workers: int) -> Check:
    """A climb with unknowable gold through the real gate, in a vault of its own. A promotion shows a leak, apart from a
    chance of at most one in twenty."""
    spec = RunSpec.from_keywords(task_id + registry.NULL, experiments=NULL_EXPERIMENTS)
    with tempfile.TemporaryDirectory() as folder:
        try:
            done = climbed(Path(folder, "run"), spec, Choice(tier), workers, Path(folder, "vault"))
        except TopropeError as e:
            return Check("null-skill twin", False, e.exit_code, 0, f"the climb on it failed: {e}")
    attempts = sum(a.clean for a in done.asked)
    promotions = sum(a.promoted for a in done.answers)
    why = f"promotions in {done.experiments} experiments, {attempts} attempts on gold that nobody can know"
    return Check("null-skill twin", promotions == 0, promotions, 0, why)
