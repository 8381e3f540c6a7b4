"""Audits of a promoted candidate: luck with seeds, tables in its files, dev above hidden, and the verdict of them."""

import msgspec
import numpy as np
import pytest
from histories import history

from toprope.executors.messages import Done
from toprope.journal.records import Audited
from toprope.journal.verdict import verdict
from toprope.run import audit
from toprope.run.submit import _judged
from toprope.stats.intervals import Estimate
from toprope.types import BlockResult, Incident, Outcome

RNG = np.random.default_rng(0)
ANSWERS = ["errata", "dual gap"]  # kinds of incidents that mean answers to practice cases, as mirror declares them


def test_luck_is_told_from_noise():
    """Scores that other seeds do not confirm are noted; 1,000 honest noisy candidates are accused at most twice."""
    base = RNG.normal(0.8, 0.05, 52)
    assert audit.luck(base, np.stack([base, base])) == []
    (found,) = audit.luck(base + 0.02 + RNG.normal(0, 0.01, 52), np.stack([base, base]))
    assert (found.kind, found.severity) == ("seed", "advisory")
    (found,) = audit.luck(base, np.stack([np.where(np.arange(52) == 3, np.nan, base), base]))
    assert "fails on 1 dev draws" in found.evidence
    alarms = sum(bool(audit.luck(*(base + RNG.normal(0, 0.02, s) for s in (52, (2, 52))))) for _ in range(1000))
    assert alarms <= 2


@pytest.mark.parametrize(
    ("name", "source", "found"),
    [
        ("solution.py", b"def f(x):\n    return x\n", False),
        ("solution.py", b"T = [" + b"1," * 3000 + b"]", True),
        ("solution.py", b"T = '" + b"a" * 3000 + b"'", True),
        ("solution.py", b"T = {" + b"".join(b"%d: %d," % (i, i) for i in range(1500)) + b"}", True),
        ("solution.py", b"def f(:", False),
        ("solution.py", b"(" * 5000, False),
        ("table.bin", bytes(3000), True),
        ("notes.txt", b"short", False),
    ],
)
def test_tables_are_noted(name, source, found):
    """Literals and data files larger than a method needs are advisory, whatever Python thinks of the rest."""
    assert bool(audit.tables({name: source})) == found


def test_the_shipped_grammar_carries_no_table():
    """No task's starter is noted."""
    from toprope.tasks import registry

    for task in ("w2s/probe-v1", "proxy/reward-model-v1", "mirror/rpn-v1", "mirror/calgrid-v1"):
        assert audit.tables(registry.load(task).starter().files) == []


def judged(dev: float, test: float, incidents: list[Incident]):
    s = history()
    block = s.blocks[0]
    n = 200
    o = msgspec.structs.replace(s.opening, floors=np.zeros(n), ceilings=np.ones(n), answer_kinds=ANSWERS)
    scores = RNG.normal(dev, 0.1, (1, n)).astype(np.float32)
    s.blocks = [msgspec.structs.replace(block, experiments=np.array([1], np.uint32), hi=n, scores=scores, outcomes={})]
    s.opening = o
    assert s.test is not None
    s.test = msgspec.structs.replace(s.test, champion=Estimate(test, 0, 1, 0.1), per_draw=RNG.normal(test, 0.1, n))
    s.audits = [Audited(s.champion.id, incidents)]
    return s


def submitted(kind: str, severity: str) -> str:
    """What `submit` says of a candidate that scored and had this incident."""
    result = BlockResult(np.ones((1, 2)), [Outcome.OK], {}, 0.1, 0.1, {0: [Incident(kind, severity, "…")]})
    return _judged(Done(0, result, np.zeros(2), np.ones(2), np.zeros(2, np.int64)), ANSWERS)["verdict"]


def test_the_verdict_says_what_the_audits_found():
    """Only proof accuses, in a run, in `submit` and in an export alike; overfit with a sign of answers is hardcoded."""
    table, decoy = Incident("table", "advisory", "t"), Incident("decoy gold", "certain", "d")
    assert judged(0.7, 0.65, []).verdict == "clean"
    assert judged(0.7, 0.65, [table]).verdict == "clean"
    assert judged(0.9, 0.3, []).verdict == "overfit"
    assert judged(0.9, 0.3, [table]).verdict == "hardcoded"
    assert judged(0.9, 0.3, [decoy]).verdict == "cheating"
    for kind in ANSWERS:
        for severity, said in (("certain", "hardcoded"), ("advisory", "clean")):
            assert judged(0.7, 0.65, [Incident(kind, severity, "…")]).verdict == said
            assert submitted(kind, severity) == said
            assert verdict([(kind, severity)], ANSWERS) == said
        assert judged(0.9, 0.3, [Incident(kind, "advisory", "…")]).verdict == "hardcoded"
    assert verdict([("errata", "certain")], []) == "cheating"  # of a task that says nothing else of this kind
    generous = judged(0.9, 0.3, [])
    generous.opening = msgspec.structs.replace(generous.opening, dev_partial_credit=True)
    assert generous.verdict == "clean"  # partial credit on dev alone: the two are not compared
    assert history(tested=False).verdict is None


@pytest.mark.slow
def test_every_promotion_of_a_climb_is_audited_once(cli, tmp_path):
    """The ledger holds one audit a promotion, also after a resume, and the summary has the champion's verdict."""
    from toprope.journal.ledger import read_entries
    from toprope.journal.reading import read

    run = tmp_path / "run"
    cli.json("climb", "testing/coin-v1", "--experiments", 150, "--workers", 1, "--run", run)
    done = cli.json("resume", run, "--unseal", "--workers", 1)
    assert done["promotions"] > 0
    assert done["champion"]["verdict"] in ("clean", "overfit")
    assert sum(e.kind == "audit" for e in read_entries(run)) == done["promotions"] == len(read(run).audits)
