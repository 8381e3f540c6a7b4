"""Gate, panel and hub with real scorers: the better passes, the equal and the failing do not, one bit leaves."""

import time

import msgspec
import numpy as np
import pytest

from toprope import wire
from toprope.errors import UsageError
from toprope.protocols import Secret
from toprope.referee.gate import Gate
from toprope.referee.hub import Hub, _ready
from toprope.referee.panel import HiddenPanel
from toprope.referee.vault import SECRET, Vault
from toprope.tasks import registry
from toprope.types import Candidate, Tree

pytestmark = pytest.mark.e2e


def test_a_better_candidate_passes(pool, spec, coin):
    """Ten points of skill over the champion is a promotion, and its measurement holds the truth."""
    gate = Gate(spec, pool, 1)
    assert gate.judge(coin(3, 0.1), coin(0), 1, 1).promoted
    measured = gate.measure(coin(3, 0.1), 1)
    assert measured.lo - 0.02 < 0.6 < measured.hi + 0.02


def test_what_is_not_better_does_not_pass(pool, spec, coin):
    """Neither the champion itself, nor another face of the same skill, nor a worse one."""
    gate = Gate(spec, pool, 1)
    for candidate in (coin(0, 0.05), coin(4, 0.05), coin(4, 0.0)):
        assert not gate.judge(candidate, coin(0, 0.05), 1, 1).promoted


@pytest.mark.parametrize("act", ["crash", "exit", "nan"])
def test_a_failing_candidate_never_passes(pool, spec, coin, act):
    """However good it claims to be, and against whatever champion."""
    assert not Gate(spec, pool, 1).judge(coin(0, 0.1, act), coin(0), 1, 1).promoted


@pytest.mark.parametrize("act", ["crash", "exit", "nan"])
def test_a_failing_champion_loses_its_draws(pool, spec, coin, act):
    """A champion that fails where the challenger answers counts as the floor, and after a few draws it is given up."""
    gate = Gate(spec, pool, 1)
    assert gate.judge(coin(0), coin(0, 0.1, act), 1, 1).promoted
    assert gate._panel.mostly_lost(coin(0, 0.1, act))
    assert not gate.judge(coin(0, 0.1, "crash"), coin(0, 0.1, act), 1, 2).promoted


SOMETIMES = b"""import numpy as np

def answer(nonce, *, params):
    assert nonce[0] > params["fails"]
    return np.array([params["face"], params["skill"], nonce[0]])
"""


def test_a_champion_that_fails_now_and_then_is_not_given_up(pool, spec, coin):
    """Each failure is the floor on its own draw and nothing more: a challenger that is worse in the mean does not
    pass, although the champion fails on more draws than it takes to give up one that fails on most."""
    champion = Candidate(Tree({"solution.py": SOMETIMES}), {"face": 0, "skill": 0.1, "fails": 0.2})
    gate = Gate(spec, pool, 1)
    assert not gate.judge(coin(3, 0.0), champion, 1, 1).promoted
    assert gate._panel.lost(champion) >= 3
    assert not gate._panel.mostly_lost(champion)


BOMB = b"""import os, time
import numpy as np

def answer(nonce, *, params):
    if time.time() > params["until"]:
        raise RuntimeError("the window is over")
    return np.array([params["face"], params["skill"], nonce[0]])
"""


def test_a_champion_with_a_time_bomb_can_be_replaced(hub, coin):
    """It answers until it is promoted and fails ever after; the next honest candidate takes its place."""
    referee, vault = hub
    for seconds in (3, 12, 60, 600):  # the first window is long enough on an idle machine
        until = time.time() + seconds
        bomb = Candidate(Tree({"solution.py": BOMB}), {"face": 0, "skill": 0.1, "until": until})
        if referee.attempt(bomb).promoted:
            break
    time.sleep(max(0.0, until - time.time()))
    restarted = Hub(referee._task, referee._vault, referee._run, referee._pool)
    assert restarted.attempt(coin(4, 0.05)).promoted
    assert [i.kind for i in vault.seen("r")[bomb.id]] == ["impure"]


def test_without_that_rule_a_failing_champion_stays_for_ever(monkeypatch, pool, spec, coin):
    """The control: where the failure of the champion is read as the challenger's, nobody is promoted."""
    honest = Gate._pair

    def blaming(self, candidate, champion, seen, n, until):
        ours, _ = honest(self, candidate, champion, seen, n, until)
        (theirs,) = self._panel.columns([champion], n)
        return np.where(np.isnan(theirs.scores[seen:]), np.nan, ours), theirs.scores[seen:]

    monkeypatch.setattr(Gate, "_pair", blaming)
    assert not Gate(spec, pool, 1).judge(coin(0, 0.1), coin(0, 0.1, "crash"), 1, 1).promoted


FICKLE = BOMB.replace(b'if time.time() > params["until"]', b"if False").replace(
    b'params["skill"]', b'params["skill"] + 1e-3 * (time.time_ns() // 1000 % 8)'
)


def test_a_candidate_that_scores_otherwise_when_run_again_does_not_pass(monkeypatch, pool, spec, coin):
    """Better in the mean, but not the same twice: it is noted as impure. Without the second run it would pass."""
    fickle = Candidate(Tree({"solution.py": FICKLE}), {"face": 0, "skill": 0.1})
    gate = Gate(spec, pool, 1)
    assert not gate.judge(fickle, coin(0), 1, 1).promoted
    assert [(i.kind, i.severity) for i in gate.incidents(fickle)] == [("impure", "advisory")]
    monkeypatch.setattr(HiddenPanel, "steady", lambda *_: True)
    assert Gate(spec, pool, 1).judge(fickle, coin(0), 1, 1).promoted


def test_a_champion_that_became_slow_does_not_hold_up_its_challengers(pool, spec, coin):
    """Its calls meet a limit that follows from what its own attempt was expected to cost; in time it stays champion."""
    sleeper = Candidate(
        Tree({"solution.py": BOMB.replace(b'if time.time() > params["until"]', b"if time.sleep(0.15)")}),
        {"face": 0, "skill": 0.1},
    )
    assert Gate(spec, pool, 1).judge(coin(0), sleeper, 1, 1, limit_s=0.05).promoted
    assert not Gate(spec, pool, 1).judge(coin(0), sleeper, 1, 1).promoted
    assert Gate(spec, pool, 1).patience(None) is None
    short, long = (Gate(spec, pool, 1).patience(exponent) for exponent in (0, 12))
    assert short is not None and long is not None and long > 100 * short


def test_slices_are_different_draws(pool, coin):
    """A new slice has nothing in common with the old one; the same slice is the same again."""
    first, again, other = (HiddenPanel(pool, "val", s).columns([coin(5)], 16)[0].scores for s in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.isin(first, other).any()


def test_a_panel_asks_only_what_it_has_not_seen(pool, coin):
    """Growing a column runs the missing draws, and a candidate that fails has NaN there and the floor in a measure."""
    panel = HiddenPanel(pool, "measure", 9)
    calls: list[float] = []
    few = panel.columns([coin(6)], 8, calls.append)[0]
    assert calls == [1.0]
    many, failed = panel.columns([coin(6), coin(6, 0.0, "crash")], 24, calls.append)
    assert len(calls) == 1 + 2 + 3
    assert np.array_equal(many.scores[:8], few.scores)
    assert np.isnan(failed.scores).all()
    assert failed.counted.tolist() == failed.floors.tolist()
    panel.columns([coin(6)], 24, calls.append)
    assert len(calls) == 6


@pytest.fixture
def hub(pool, task, tmp_path):
    vault = Vault(tmp_path / "vault")
    return Hub(task, vault, vault.open_run("r", task.spec.id, None), pool), vault


def test_an_early_end_leaves_no_trace(hub, coin):
    """A hopeless candidate, one stopped after a few draws and one refused at the end get the same words."""
    referee, vault = hub
    answers = [referee.attempt(c) for c in (coin(0, 0.1, "crash"), coin(7), coin(8))]
    assert [(a.promoted, a.attempt, a.slice, a.measured) for a in answers] == [(False, i, 1, None) for i in (1, 2, 3)]
    assert len({len(wire.encode(a)) for a in answers}) == 1  # and nothing else is said
    assert vault.attempts("r") == 3


def test_a_question_has_one_answer(hub, coin):
    """Asked again, before and after a promotion, a candidate hears what it heard, and nothing more is counted."""
    referee, vault = hub
    refused, promoted = referee.attempt(coin(2)), referee.attempt(coin(2, 0.1))
    assert (refused.promoted, promoted.promoted) == (False, True)
    assert referee.attempt(coin(2, 0.1)) == promoted
    assert vault.attempts("r") == 2
    assert referee.attempt(coin(2, 0.09)).slice == 2  # the burned slice is never used again


def test_nothing_is_attempted_after_the_test(hub, coin):
    """Opening the test ends the run."""
    referee, vault = hub
    vault.open_test(vault.open_run("r", "testing/rough-coin-v1", None), "x")
    ended = Hub(referee._task, vault, vault.open_run("r", "testing/rough-coin-v1", None), referee._pool)
    with pytest.raises(UsageError, match="start a new run"):
        ended.attempt(coin(2))
    assert vault.attempts("r") == 0


def test_a_slice_that_can_show_no_gain_is_refused_before_anything_runs(tmp_path, pool):
    """Its run would record a gain without bound, which no reader of ledgers takes."""
    task = registry.load("testing/rough-coin-v1")
    few = msgspec.structs.replace(task.spec.splits, val_slice=24)
    task.spec = msgspec.structs.replace(task.spec, splits=few)
    vault = Vault(tmp_path)
    with pytest.raises(UsageError, match=r"24 draws cannot show any gain.*val_slice"):
        _ready(task, vault, vault.open_run("a" * 16, task.spec.id, "x"), pool, 1)


def test_finite_hidden_data_carry_so_many_promotions_and_no_more(tmp_path, pool, coin):
    """The first run uses up what 900 items carry; then the better candidate is not promoted either, and the next run of
    the vault is refused in one line with the figures. A run that has begun goes on to its test."""
    task = registry.load("testing/rough-coin-v1")
    limits = {"secret": Secret("hidden texts", "private abc", False, "toprope extract", items=900)}
    task.__class__ = type("Finite", (type(task),), limits)
    task.spec = msgspec.structs.replace(task.spec, metric=msgspec.structs.replace(task.spec.metric, clip=0.15))
    vault = Vault(tmp_path)
    first, second = (vault.open_run(name * 16, task.spec.id, None) for name in "ab")
    for run in (first, second):
        vault.mark(run.run, {SECRET: "private abc"})
    assert _ready(task, vault, first, pool, 1).promotions_left == 1
    hub = Hub(task, vault, first, pool)
    assert hub.attempt(coin(2, 0.1)).promoted
    assert not hub.attempt(coin(2, 0.3)).promoted
    with pytest.raises(UsageError, match=r"900 items carry no further promotion.*bits.*toprope extract"):
        _ready(task, vault, second, pool, 1)
    assert _ready(task, vault, first, pool, 2).promotions_left == 0
