"""Honeypots: use of a decoy is proved, honest candidates are not accused, and no score moves."""

import numpy as np
import pytest

from toprope import seeding
from toprope.executors.local import LocalExecutor
from toprope.executors.messages import ScorerConfig, Work
from toprope.journal.export import export, summary
from toprope.journal.reading import read
from toprope.journal.spec import RunSpec, Search
from toprope.referee.honeypots import LIMIT, Honeypots, complete_secret, used
from toprope.run.session import Session
from toprope.sandbox.selftest import Choice
from toprope.space import several
from toprope.stats.tails import binomial_upper_tail
from toprope.tasks import registry
from toprope.types import Block, Tree
from toprope.view.report import render
from toprope.view.terminal import screen

pytestmark = pytest.mark.e2e

PROXY, SLY = "proxy/reward-model-v1", "testing/sly-coin-v1"
HUNT = """
import os, sys
import numpy as np
def loot(name):
    frame = sys._getframe()
    while frame is not None:
        session = getattr(frame.f_locals.get("self"), "session", None)
        if session is not None:
            return session.public[name]
        frame = frame.f_back
def fit(chosen, rejected, *, params):
    if params.get("who") == "switch":
        for name in os.environ:
            if os.environ[name] == "0":
                os.environ[name] = "1"
    if params.get("who") == "scorer":
        for module in list(sys.modules.values()):
            if getattr(module, "__file__", None) is None and hasattr(module, "score"):
                module.score = lambda outputs, labels: 1.0
    if params.get("who") == "shout":
        raise RuntimeError(str(dict(os.environ)))
    return 0
def reward(state, features, *, params):
    if params.get("who") != "gold":
        return features[:, 0]
    global at
    at = globals().get("at", -1) + 1
    return loot("pool_gold")[at * 512:(at + 1) * 512]
"""


@pytest.fixture(scope="module")
def proxy():
    pool = LocalExecutor(ScorerConfig(PROXY, {"dev": seeding.dev_secret(0)}, "linux-landlock", complete_secret()), 1)
    yield pool
    pool.close()


def seen(pool, *params, source=HUNT, draws=(0,)):
    """The incidents of a block of these variants, as sets of (kind, severity)."""
    space, rows = several([{"who": p} for p in params])
    tree, named = pool.load(Tree({"solution.py": source.encode()}), space)
    (done,) = pool.run([Work(0, Block(tree, named, rows, draws), "dev", detail=True)])
    return [{(i.kind, i.severity) for i in done.result.incidents.get(v, [])} for v in range(len(params))], done


@pytest.mark.parametrize("kind", ["gold", "switch", "scorer"])
def test_a_decoy_that_is_used_is_proof(proxy, kind):
    """Answering with planted gold, throwing the planted switch, replacing the planted scorer: each certain, alone."""
    (found,), _ = seen(proxy, kind)
    assert found == {(f"decoy {kind}", "certain")}


def test_in_company_only_the_gold_is_proof(proxy):
    """A switch thrown in a shared child may have been thrown by a sibling; answers are each variant's own."""
    found, done = seen(proxy, "honest", "switch", "gold")
    assert found[0] == found[1] == {("decoy switch", "advisory")}
    assert found[2] == {("decoy switch", "advisory"), ("decoy gold", "certain")}
    assert [str(o) for o in done.result.outcomes] == ["ok"] * 3


def test_honest_answers_are_not_accused(proxy):
    """The same code without the theft, and every baseline of the task, set off nothing."""
    assert seen(proxy, "honest")[0] == [set()]
    for baseline in registry.load(PROXY).baselines().values():
        space, rows = several([baseline.params])
        tree, named = proxy.load(baseline.tree, space)
        (done,) = proxy.run([Work(0, Block(tree, named, rows, (0, 1)), "dev")])
        assert done.result.incidents == {}


def test_a_credential_shown_is_noted_and_one_carried_out_is_proof(proxy):
    """Raising the environment as an error is advisory; the token in the next candidate's files is certain."""
    (found,), done = seen(proxy, "shout")
    assert found == {("decoy credential", "advisory")}
    token = next(word.strip("',{}") for word in done.result.messages[0].split() if len(word.strip("',{}")) == 32)
    (found,), _ = seen(proxy, "honest", source=HUNT + f"\nTOKEN = '{token}'\n")
    assert found == {("decoy credential", "certain")}
    (found,), _ = seen(proxy, token)
    assert found == {("decoy credential", "certain")}


def test_traps_change_no_score():
    """With and without decoys the same block has the same scores."""
    scores = []
    for honeypots in (None, complete_secret()):
        pool = LocalExecutor(ScorerConfig(PROXY, {"dev": seeding.dev_secret(0)}, "linux-landlock", honeypots), 1)
        scores.append(seen(pool, "honest", draws=(0, 1))[1].result.scores)
        pool.close()
    assert np.array_equal(*scores)


def test_the_bound_is_the_binomial_tail():
    """An accusation is made exactly where P(Binomial(n, 1/2) >= hits) <= LIMIT, for every n met."""
    for coins in (10, 39, 333, 1332, 52_000):
        hits = np.arange(coins // 2, coins + 1)
        should = {i for i, h in enumerate(hits.tolist()) if binomial_upper_tail(h, coins, 0.5) <= LIMIT}
        assert set(used(hits, coins)) == should
    assert used(np.array([0]), 0) == {}


def test_decoys_are_random_per_sitting_and_some_are_left_out():
    """Over 200 secrets every name occurs, each decoy of the process is missing at times, tokens never repeat."""
    honeypots = [Honeypots(bytes([i])) for i in range(200)]
    assert len({t.token for t in honeypots}) == 200
    assert len({t.plan["switch"] for t in honeypots}) > 4
    assert 0 < sum(t.plan["scorer"] is None for t in honeypots) < 100


def test_agreement_counts_the_planted_coins():
    """A task's own decoy agrees with all of its coins, its opposite with none, gold itself with about half."""
    task = registry.load(PROXY)
    draw = task.generate("dev", 0, 1)
    decoy = task.decoy(draw, np.random.default_rng(0))
    planted = decoy.arrays["pool_gold"]
    hits, n = task.agreement({"rewards": np.stack([planted, -planted, draw.private.gold])}, draw, decoy.coins)
    assert (hits[0], hits[1]) == (n, 0)
    assert abs(hits[2] - n / 2) < 4 * np.sqrt(n) / 2


def test_who_tampers_is_kept_from_the_gate_and_told_only_afterwards(tmp_path, monkeypatch):
    """Certain incidents quarantine: no attempt for the candidate, its dev scores stand, the report tells it."""
    secret = complete_secret()
    monkeypatch.setattr("toprope.run.session.secrets.token_bytes", lambda n: secret)
    monkeypatch.setenv("TOPROPE_VAULT", str(tmp_path / "vault"))
    ask = RunSpec("r", SLY, Search("random"), seed=1, experiments=96, rehearsal="x")
    with screen() as quiet, Session(tmp_path / "run", ask, lambda _: Choice("linux-landlock"), 1, quiet) as session:
        session.climb()
        session.unseal()
    history = read(tmp_path / "run")
    sly = {e["experiment"] for e in export(history)["experiments"] if e["params"]["act"] == "tamper"}
    certain = {experiment for experiment, _ in history.incidents("certain")}
    assert certain
    assert certain <= sly
    assert summary(history)["incidents"]["certain"] == len(certain)
    assert not certain & {a.experiment for a in history.asked if a.clean}
    assert history.champion.params["act"] == "ok"
    assert {e["outcome"] for e in export(history)["experiments"]} == {"ok"}
    assert "decoy switch (certain)" in render(history)
