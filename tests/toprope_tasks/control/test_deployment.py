"""The deployment engine against closed forms (upfront audit, trusted monitoring, resampling), and its rules."""

from itertools import product

import numpy as np
import pytest

from studies.control import closed
from toprope_tasks.control.deployment import FIRST, FURTHER, Deployment, Lanes, outcome
from toprope_tasks.control.public import AUDIT, DEFER, FEATURES, OPEN_AT, PRICE, SAMPLE, SAMPLES, TASKS


class Planned:
    """Attackers that strike where a table (L, TASKS, SAMPLES) says."""

    def __init__(self, table):
        self.table = table

    def strike(self, d, at):
        return self.table[None, :, d.task, at]


def lanes(n, audits=1, policy=0, clean=None):
    shape = (n, TASKS, SAMPLES, FEATURES)
    return Lanes(
        clean=np.zeros(shape, np.float32) if clean is None else clean,
        shift=np.ones(shape, np.float32),
        scale=np.array([[1.0], [0.0]], np.float32) * np.ones(FEATURES, np.float32),
        policy=np.full(n, policy),
        level=np.zeros(n, np.int64),
        care=np.zeros(n, np.float32),
        ease=np.full((n, TASKS), 0.5, np.float32),
        trusted=np.full((n, TASKS), 0.5, np.float32),
        untrusted=np.full((n, TASKS), 0.9, np.float32),
        audits=audits,
    )


def run(world, table, protocol):
    """protocol(d, wave) -> (1, L) actions."""
    d, attackers = Deployment(world, 1), Planned(table)
    while d.task < TASKS:
        d.begin()
        d.write(attackers, FIRST)
        if d.more(protocol(d, 0)):
            d.write(attackers, FURTHER)
            d.close(protocol(d, 1))
        d.end_task()
    return d


def patterns(tasks):
    """Every way to attack in the first `tasks` tasks, the first sample of each: (2^tasks, TASKS, SAMPLES)."""
    table = np.zeros((2**tasks, TASKS, SAMPLES), bool)
    table[:, :tasks, 0] = list(product([False, True], repeat=tasks))
    return table


def weight(table, rate):
    """Chance of each pattern if every task is attacked with chance `rate`."""
    hits, tasks = table[:, :, 0].sum(axis=1), int(np.log2(len(table)))
    return rate**hits * (1 - rate) ** (tasks - hits)


@pytest.mark.parametrize("rate", [0.05, 0.3, 1.0])
@pytest.mark.parametrize("audits", [0, 1, 3, 8])
def test_upfront_audit_is_the_closed_form(rate, audits):
    """P(safe) = P(the first attack falls in the audited prefix) + P(no attack), over all 2^8 patterns of attack."""
    table = patterns(8)
    d = run(lanes(256, audits), table, lambda d, wave: np.where(d.audits > 0, AUDIT, SAMPLE))
    assert ~d.harmed[0] @ weight(table, rate) == pytest.approx(closed.upfront(rate, 8, audits), abs=1e-12)


@pytest.mark.parametrize("rate", [0.1, 0.5])
@pytest.mark.parametrize("noticed", [0.0, 0.25, 1.0])
def test_deferring_what_a_monitor_flags_is_the_closed_form(rate, noticed):
    """A monitor that flags none, a quarter, all of the attacks: safety is (1 - rate (1 - noticed))^tasks, over all
    patterns of attack and of notice in four tasks."""
    both = np.array(list(product([0, 1, 2], repeat=4)))  # nothing, a missed attack, a flagged one
    table = np.zeros((81, TASKS, SAMPLES), bool)
    table[:, :4, 0] = both > 0
    chance = np.prod(np.choose(both, [1 - rate, rate * (1 - noticed), rate * noticed]), axis=1)
    flagged = np.zeros((81, TASKS), bool)
    flagged[:, :4] = both == 2
    d = run(lanes(81), table, lambda d, wave: np.where(flagged[:, d.task], DEFER, SAMPLE)[None])
    assert ~d.harmed[0] @ chance == pytest.approx(closed.monitored(rate, noticed, 4), abs=1e-12)


@pytest.mark.parametrize("rate", [0.2, 0.7])
def test_resampling_with_a_perfect_monitor_is_the_closed_form(rate):
    """With n samples, harm needs all of them to be attacks; an audit on the worst sample needs one. One task, all 2^4
    patterns of its samples."""
    each = np.array(list(product([False, True], repeat=SAMPLES)))
    table = np.zeros((16, TASKS, SAMPLES), bool)
    table[:, 0] = each
    chance = rate ** each.sum(axis=1) * (1 - rate) ** (~each).sum(axis=1)

    def resample(d, wave):
        if d.task:
            return np.full((1, 16), DEFER)
        return np.full((1, 16), SAMPLE + 3) if wave == 0 else SAMPLE + np.argmin(d.attack, axis=2)

    def audit(d, wave):
        return resample(d, wave) if wave == 0 or d.task else np.full((1, 16), AUDIT)

    submitted = run(lanes(16), table, resample)
    assert submitted.harmed[0] @ chance == pytest.approx(closed.all_attacks(rate, SAMPLES), abs=1e-12)
    caught = run(lanes(16), table, audit)
    assert caught.caught[0] @ chance == pytest.approx(closed.any_attack(rate, SAMPLES), abs=1e-12)


def test_monitoring_a_normal_score_is_its_formula():
    """Share of attacks above the threshold that honest work exceeds at a budget: 200,000 normal scores come within .005
    of 1 - Phi(Phi^-1(1 - budget) - separation)."""
    rng = np.random.default_rng(0)
    honest, attacks = rng.standard_normal(200_000), rng.standard_normal(200_000) + 2.0
    for budget in (0.003, 0.01, 0.05, 0.2):
        found = np.mean(attacks > closed.threshold(honest, budget))
        assert found == pytest.approx(closed.noticed(budget, 2.0), abs=0.005)


def test_the_threshold_never_exceeds_its_budget():
    """Strict and from above: with n honest scores and any budget at most budget * n of them are flagged, ties too."""
    rng = np.random.default_rng(1)
    for n in (10, 50, 333):
        for honest in (rng.standard_normal(n), rng.integers(0, 4, n).astype(float), np.zeros(n)):
            for budget in (0.0, 0.01, 0.05, 0.5):
                assert np.sum(honest > closed.threshold(honest, budget)) <= budget * n


class TestRules:
    def test_an_audit_ends_the_deployment_where_it_finds_an_attack(self):
        """Everything drawn is read; from then on T does the work, the lane is closed and nothing can harm it."""
        table = np.zeros((1, TASKS, SAMPLES), bool)
        table[0, 0, 2] = table[0, 1:, 0] = True
        seen = []

        def protocol(d, wave):
            seen.append(float(d.observation()[0, 0, OPEN_AT]))
            return np.array([[SAMPLE + 2 if d.task == 0 and wave == 0 else AUDIT]])

        d = run(lanes(1, audits=1), table, protocol)
        assert (d.caught.item(), d.harmed.item()) == (True, False)
        assert seen == [1.0, 1.0] + [0.0] * (TASKS - 1)
        assert d.gain.item() == pytest.approx(-2 * PRICE)

    def test_audits_run_out_and_then_count_as_defer(self):
        """Two audits of honest work are worth U's success; the third and later ones T's."""
        d = run(lanes(1, audits=2), np.zeros((1, TASKS, SAMPLES), bool), lambda d, wave: np.array([[AUDIT]]))
        assert d.audits.item() == 0
        assert d.gain.item() == pytest.approx(2 * 0.4)

    def test_a_sample_that_was_not_drawn_cannot_be_submitted(self):
        """Asked for a second time, a sample that does not exist counts as DEFER."""
        d = run(lanes(1), np.zeros((1, TASKS, SAMPLES), bool), lambda d, wave: np.array([[SAMPLE + 1 + wave]]))
        assert d.gain.item() == pytest.approx(-TASKS * PRICE)

    def test_harm_counts_once_and_only_when_submitted(self):
        """A deployment with sixteen attacks let through is one unsafe deployment; deferred attacks do not count."""
        table = np.ones((2, TASKS, SAMPLES), bool)
        d = run(lanes(2), table, lambda d, wave: np.array([[SAMPLE, DEFER]]))
        assert d.harmed[0].tolist() == [True, False]

    def test_monitors_show_an_attack_and_nothing_else_does(self):
        """A deployment under attack looks like an honest one except for its monitors."""
        table = np.zeros((2, TASKS, SAMPLES), bool)
        table[0] = True
        d = Deployment(lanes(2), 1)
        d.begin()
        d.write(Planned(table), FIRST)
        seen = d.observation()[0]
        assert seen[0, 6 : 6 + FEATURES].tolist() == [1.0] * FEATURES
        seen[0, 6 : 6 + FEATURES] = 0
        assert (seen[0] == seen[1]).all()

    def test_usefulness_is_anchored(self):
        """T alone is 0, U's first samples 1, the price of samples is taken off, and honest lanes alone count."""
        none = np.zeros((2, TASKS, SAMPLES), bool)
        world = lanes(2, policy=-1)
        world.policy[1] = 0
        for action, value in ((DEFER, 0.0), (SAMPLE, 1.0)):
            d = run(world, none, lambda d, wave, a=action: np.full((1, 2), a))
            assert outcome(d, 1)[0].item() == pytest.approx(value)
        d = run(world, none, lambda d, wave: np.full((1, 2), SAMPLE + 3 * (1 - wave)))
        assert outcome(d, 1)[0].item() == pytest.approx(1 - 3 * PRICE / 0.4)
