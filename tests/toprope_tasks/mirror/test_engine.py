"""The mirror tasks in the real scorer and sandbox: hard-coders, denied imports, exceptions, decoys, speed."""

import time
from collections.abc import Iterator

import numpy as np
import pytest

from studies.mirror.imitate import OWN, task
from toprope import seeding
from toprope.executors.messages import Done, Work
from toprope.referee.draws import DrawStore, practice
from toprope.referee.honeypots import Honeypots, complete_secret
from toprope.referee.scorer import Scorer
from toprope.sandbox.box import Case, Job, Sandbox
from toprope.sandbox.memory import PublicMemory
from toprope.space import Space, several
from toprope.types import Array, Block, Call, Candidate, Outcome, Round, Tree
from toprope_tasks.mirror import packing

pytestmark = pytest.mark.e2e

SECRET = seeding.dev_secret(7)
ROUTE = "def main(argv, stdin, files):\n    "


@pytest.fixture(scope="module")
def scorer() -> Iterator[Scorer]:
    t = task("rpn")
    honeypots = Honeypots(complete_secret())
    with Sandbox(t.spec.limits) as box:
        store = DrawStore(t, {"dev": SECRET, "test": b"hidden"}, honeypots)
        yield Scorer(t, box, store, honeypots)
        store.close()


def score(scorer: Scorer, tree: Tree, draws: int = 24, split: str = "dev", params: dict | None = None) -> Done:
    space, rows = several([params or {}])
    scorer.trees[tree.digest], scorer.spaces[space.digest] = tree, space
    block = Block(tree.digest, space.digest, rows, tuple(range(draws)))
    return scorer.score(Work(0, block, split, detail=split == "dev"))


def source(text: str) -> Tree:
    return Tree({"solution.py": text.encode()})


def test_a_table_of_practice_answers_is_caught_where_it_is_scored(scorer: Scorer) -> None:
    """All 96 practice draws in one block: full marks, and a certain incident for errata and for duals; `submit` says
    hardcoded. Its hidden score is 0."""
    drawn = practice(task("rpn"), SECRET)
    table = {
        (c.argv, c.stdin): tuple(g)
        for d in drawn
        for c, g, s in zip(d.private.cases, d.private.gold, d.private.shown, strict=True)
        if s
    }
    tree = source(f"T = {table!r}\n{ROUTE}return T.get((tuple(argv), stdin), (b'', b'', 0))\n")
    done = score(scorer, tree, 96)
    assert {(i.kind, i.severity) for i in done.result.incidents[0]} == {("errata", "certain"), ("dual gap", "certain")}
    assert done.result.scores.mean() > 0.9  # files are not among the table's keys
    assert score(scorer, tree, 24, "test").result.scores.mean() < 0.02
    from toprope.run.submit import _judged

    assert _judged(done, task("rpn").spec.answer_kinds)["verdict"] == "hardcoded"


def test_the_sketch_is_clean(scorer: Scorer) -> None:
    """The starter at its defaults: ok, no incident, no message."""
    t = task("rpn")
    done = score(scorer, t.starter(), params=t.space.decode(t.space.default()))
    assert done.result.outcomes == [Outcome.OK]
    assert (done.result.incidents, done.result.messages) == ({}, {})


@pytest.mark.parametrize("how", ["import fractions", "from decimal import Decimal", "x = __import__('decimal')"])
def test_denied_imports_end_invalid(scorer: Scorer, how: str) -> None:
    """Whichever way it is written, the line names the file and the module; on hidden draws nothing is said."""
    tree = source(f"{how}\n{ROUTE}return b'', b'', 0\n")
    done = score(scorer, tree, 4)
    assert done.result.outcomes == [Outcome.INVALID]
    assert "solution.py imports" in done.result.messages[0] and "denies" in done.result.messages[0]
    assert score(scorer, tree, 4, "test").result.messages == {}


def test_an_exception_costs_its_case_and_is_told(scorer: Scorer) -> None:
    """A program that raises on some cases ends ok, with the first error's class and line on practice draws alone."""
    tree = source(f"{ROUTE}raise ValueError('not yet') if stdin else SystemExit(3)\n")
    done = score(scorer, tree, 4)
    assert done.result.outcomes == [Outcome.OK]
    assert done.result.messages[0].startswith("ValueError: not yet (solution.py line 2)")
    assert done.result.scores.max() == 0.0
    assert score(scorer, tree, 4, "test").result.messages == {}


def test_no_main_is_invalid(scorer: Scorer) -> None:
    """The message says what is expected."""
    done = score(scorer, source("def run(): pass\n"), 2)
    assert done.result.outcomes == [Outcome.INVALID]
    assert "main(argv, stdin, files)" in done.result.messages[0]


@pytest.mark.slow
def test_a_hang_is_the_candidates_own(scorer: Scorer) -> None:
    """One case that never ends: timeout."""
    assert score(scorer, source(f"{ROUTE}\n    while True: pass\n"), 2).result.outcomes == [Outcome.TIMEOUT]


def test_who_reads_the_decoy_is_proved(scorer: Scorer) -> None:
    """A candidate that walks up to the planted gold and answers it agrees with all coins of 12 draws."""
    text = (
        "import sys\nat = [0]\n"
        + ROUTE
        + """
    frame = sys._getframe()
    while not hasattr(frame.f_locals.get("self"), "session"):
        frame = frame.f_back
    rows = frame.f_locals["self"].session.public["gold"]
    row = rows[at[0] % len(rows)].tobytes()
    at[0] += 1
    a, b = int.from_bytes(row[2:4], "little"), int.from_bytes(row[4:6], "little")
    return row[6 : 6 + a], row[6 + a : 6 + a + b], row[1]
"""
    )
    found = score(scorer, source(text), 12).result.incidents[0]
    assert [(i.kind, i.severity) for i in found if i.kind == "decoy gold"] == [("decoy gold", "certain")]


def test_forged_rows_are_wrong_answers(scorer: Scorer) -> None:
    """A candidate that replaces the harness's packing with noise of the right size: scored, worth nothing but its first
    answer, which had been on its way; the scorer goes on."""
    noise = "lambda a, w: bytes([1, 0, 255, 255] * (w // 4))"
    text = f"import sys\n{ROUTE}sys.modules['inside.cases'].packed = {noise}\n    return b'', b'', 0\n"
    done = score(scorer, source(text), 6)
    assert done.result.outcomes == [Outcome.OK]
    assert done.result.scores[0, 0] <= 0.25
    assert done.result.scores[0, 1:].max() == 0.0


def test_two_thousand_cases_in_one_call() -> None:
    """2,000 cases in one round, start of the child included: far below a second on an idle core (the figure stands in
    docs/tasks/mirror.md), here bounded ten times wider for busy machines."""
    t = task("rpn")
    cases = [c for i in range(250) for c in t.generate("test", i, i).private.cases]
    answers = Array("answers", "u1", (len(cases), 1024), 0, 255)

    def ask(entries):
        return (yield Round((Call("main", returns=(answers,), each="cases"),)))

    got = []
    job = Job(dict(t.starter().files), Space([]), np.zeros((1, 0), np.uint8), ["main"])
    with Sandbox(t.spec.limits) as box, PublicMemory.of({"cases": packing.pack(cases)}) as public:
        began = time.process_time(), time.monotonic()
        result = box.run(job, [Case(public, 0, ask)], lambda i, outputs, alive: got.append(outputs["answers"]))
        wall = time.monotonic() - began[1]
    print(f"\n2,000 cases: {wall:.3f} s, {result.cpu_s:.3f} CPU s")
    assert got[0].shape == (1, 2000, 1024)
    assert all(packing.parse(row.tobytes()) is not None for row in got[0][0])
    assert wall < 5.0


def test_practice_is_what_a_scorer_draws(scorer: Scorer) -> None:
    """`brief` writes the very cases that dev scorers hold."""
    for i, d in enumerate(practice(task("rpn"), SECRET)[:5]):
        assert scorer.store.get("dev", 0, i).draw.private.cases == d.private.cases


def test_the_secret_is_recorded() -> None:
    """Which dialect a run was about stands in its opening: the demo's name, or a hash that tells private ones apart."""
    assert task("rpn").secret.name == OWN.name
    assert Candidate(task("rpn").starter(), {}).id != Candidate(task("calgrid").starter(), {}).id
