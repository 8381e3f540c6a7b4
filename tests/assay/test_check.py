"""`toprope check`: a fit task is admitted, each kind of unfit one is refused for its reason."""

import msgspec
import numpy as np
import pytest

from toprope.assay.fit import answers, candidates, draws, tier
from toprope.errors import UsageError
from toprope.tasks import registry
from toprope.types import Array, Call, Draw, Round

pytestmark = pytest.mark.e2e

PROXY = "proxy/reward-model-v1"


class Careless:
    """A task whose draws differ each time, whose floor is its ceiling, and which pays for saying one."""

    spec = msgspec.structs.replace(registry.load("testing/coin-v1").spec, entries=["say"])

    def generate(self, split, index, seed):
        return Draw({"x": np.random.default_rng().random(3)}, None, 0.2, 0.2 + 0.1 * (index == 0))

    def dialogue(self, draw, entries):
        return self.talk()

    def talk(self):
        return (yield Round((Call("say", ("x",), returns=(Array("y", "f8", (2,), 0, 1),)),)))

    def score(self, outputs, draw):
        return outputs["y"].mean(axis=1)


def test_a_careless_task_is_found_out():
    """Draws that do not repeat, no gap, and an answer without thought that pays: each is refused."""
    task = Careless()
    assert not draws.repeats(task).ok
    assert not next(draws.anchors(task)).ok
    found = answers.null_answers(task)
    assert not found.ok
    assert "highest" in found.why


def test_the_shipped_proxy_task_passes_what_needs_no_sandbox():
    """Draws repeat, floor and ceiling lie apart, and no answer without thought pays."""
    task = registry.load(PROXY)
    assert all(c.ok for c in [draws.repeats(task), *draws.anchors(task), answers.null_answers(task)])


def test_every_way_to_speak_to_a_task_is_tried():
    """w2s hears `targets` alone, or `fit` with `predict`; nothing smaller and nothing larger is needed."""
    task = registry.load(PROXY)
    assert answers.ways(task, task.generate("dev", 0, 1)) == [frozenset({"fit", "reward"})]


def test_the_null_twin_has_the_same_draws_and_other_gold():
    """Public parts are equal to the byte; gold is not, and the same twin draw comes twice."""
    task, twin = registry.load(PROXY), registry.load(PROXY + registry.NULL)
    assert twin.spec.id == "proxy/reward-model-v1~null"
    ours, theirs, again = (t.generate("val", 3, 5) for t in (task, twin, twin))
    assert all(np.array_equal(ours.public[k], theirs.public[k]) for k in ours.public)
    assert not np.array_equal(ours.private.gold, theirs.private.gold)
    assert np.array_equal(theirs.private.gold, again.private.gold)
    assert sorted(ours.private.gold) == sorted(theirs.private.gold)


def test_a_known_gold_is_worth_nothing_on_the_twin():
    """The true gold as rewards is near the ceiling on the task and within 4 standard errors of 0 on its twin."""
    values = []
    for name in (PROXY, PROXY + registry.NULL):
        task = registry.load(name)
        gold = [registry.load(PROXY).generate("val", i, 5).private.gold for i in range(12)]
        draws = [task.generate("val", i, 5) for i in range(12)]
        values.append(np.array([task.score({"rewards": g[None]}, d)[0] for g, d in zip(gold, draws, strict=True)]))
    assert values[0].mean() > 1
    assert abs(values[1].mean()) < 4 * values[1].std(ddof=1) / np.sqrt(12)


def test_probes_without_a_candidate(tmp_path):
    """An empty directory of probes ends in one line that says what was expected."""
    with pytest.raises(UsageError, match=r"hold no candidate; expected one directory with a solution.py"):
        candidates.probes_in(tmp_path, registry.load(PROXY))


@pytest.mark.slow
def test_a_task_that_leaks_is_not_admitted(cli, tmp_path):
    """The coin keeps its skill on its twin and its baselines find nothing: exit 1, both reasons told, probes judged."""
    probe = tmp_path / "probes" / "skilled"
    probe.mkdir(parents=True)
    (probe / "solution.py").write_text("def answer(nonce):\n    return [0.0, 0.4, nonce[0]]\n")
    done = cli.run("check", "testing/coin-v1", "--probes", tmp_path / "probes", "--workers", 2, "--json")
    assert done.returncode == 1, done.stderr
    result = msgspec.json.decode(done.stdout)
    assert not result["admitted"]
    failed = {c["name"] for c in result["checks"] if not c["ok"] and not c["advice"]}
    luck = {"something to find", "resolution"}  # draws are random: one time in forty a face seems better
    assert {"null-skill twin", "probe skilled"} <= failed <= {"null-skill twin", "probe skilled"} | luck


def test_a_costly_tier_above_is_not_asked():
    """Advice says which command measures the transfer, and nothing of the costly task is run or needed."""
    (row,) = tier.tier(registry.load("w2s/finetune-v1"), 1)
    assert (row.ok, row.admits) == (False, True)
    assert "toprope transfer" in row.why
