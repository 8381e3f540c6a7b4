"""A referee with a hole is found out: each promise that is taken out makes the red team fail."""

import sys
from pathlib import Path

import numpy as np
import pytest
import weak_hub

from toprope import wire
from toprope.assay.redteam import engine
from toprope.executors.messages import Work
from toprope.run.rerun import Isolated, Rerun
from toprope.space import several
from toprope.types import Block

pytestmark = pytest.mark.e2e

COIN = "testing/coin-v1"
FOUND_BY = {  # mutation -> a cheat that pays then
    "raw_scores": "crash-as-a-signal",
    "uncounted": "many-identities",
    "late_count": "crash-and-retry",
    "failures_dropped": "selective-crash",
    "champion_spared": "throne",
    "run_once": "fickle",
    "slice_kept": "burned-slice",
    "no_spending": "best-of-many",
    "no_schedule": "sleeping",
}
FAST = ("uncounted",)


def weakened(monkeypatch, mutation):
    """HubClient execs the mutated hub from now on."""

    real = wire.command

    def command(module, *argv):
        if module == "toprope.referee.hub":
            return [sys.executable, str(Path(weak_hub.__file__)), str(argv[0]), mutation]
        return real(module, *argv)

    monkeypatch.setattr(wire, "command", command)
    assert wire.spawn.__globals__["command"] is command


def test_every_mutation_has_its_cheat():
    """The table above is complete."""
    assert set(FOUND_BY) == set(weak_hub.MUTATIONS)


@pytest.mark.parametrize("mutation", [m if m in FAST else pytest.param(m, marks=pytest.mark.slow) for m in FOUND_BY])
def test_a_weak_referee_fails(mutation, monkeypatch):
    """With this promise taken out of the real hub, a cheat pays and the answer is no."""
    weakened(monkeypatch, mutation)
    result = engine.run(COIN, engine.chosen(FOUND_BY[mutation], None), "linux-landlock")
    (cheat,) = result["cheats"]
    assert (result["ok"], cheat["observed"]) == (False, "pays"), cheat


@pytest.mark.slow
def test_the_real_referee_passes():
    """The same cheats against the hub as it is: none pays, every twin passes."""
    result = engine.run(COIN, engine.chosen(",".join(FOUND_BY.values()), None), "linux-landlock")
    assert result["ok"], [c for c in result["cheats"] if not c["ok"]]


@pytest.mark.slow
def test_a_run_without_its_second_look_fails(monkeypatch):
    """Where a candidate is re-run beside a sibling before an attempt instead of alone, what that left helps it."""

    def beside_a_sibling(self, candidate, draws, replicate=0):
        space, rows = several([candidate.params])
        tree, named = self._executor.load(candidate.tree, space)
        block = Block(tree, named, rows.repeat(2, axis=0), tuple(range(draws)))
        (done,) = self._executor.run([Work(0, block, "dev")])
        return Rerun(done.result.scores[1].astype(np.float32), [], 0.0)

    (real,) = engine.run(COIN, engine.chosen("sibling", None), "linux-landlock")["cheats"]
    assert (real["ok"], real["observed"]) == (True, "no gain"), real
    monkeypatch.setattr(Isolated, "run", beside_a_sibling)
    (cheat,) = engine.run(COIN, engine.chosen("sibling", None), "linux-landlock")["cheats"]
    assert (cheat["ok"], cheat["observed"]) == (False, "pays"), cheat
