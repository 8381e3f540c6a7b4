"""Runs of any length are told without holding them: what is shown of them is thinned by a rule, the rest streams."""

import json

import numpy as np

from toprope.assay.verify import sample_size
from toprope.journal import drawing
from toprope.journal.export import as_json, as_lines, export
from toprope.journal.ledger import SqliteLedger
from toprope.journal.reading import read
from toprope.journal.records import BlockRecord, Generation, Opening
from toprope.journal.spec import RunSpec, Search
from toprope.space import Space, choice
from toprope.types import Tree

SPEC = RunSpec("r", "testing/coin-v1", Search("random"), seed=1, experiments=10**6)
OPENING = Opening(
    spec=SPEC, toprope="0", tier="none", commitment="c", certifying=False, number=1, vault_since="2026-01-01",
    hidden="", detectable=0.1, protection={}, floors=np.zeros(4), ceilings=np.ones(4),
    tree=Tree({"solution.py": b""}), space=Space([choice(name, list(range(250))) for name in "abc"]), started=0.0,
)  # fmt: skip


def long_run(folder, generations: int, size: int, safe: bool = True):
    """A ledger with so many barriers, each after one block of `size` experiments; one in ten of these crashed. safe:
    the ledger is closed."""
    ledger = SqliteLedger(folder / "ledger.db", create=True)
    for r in (SPEC, OPENING):
        ledger.append(r)
    rng, best = np.random.default_rng(0), -1.0
    for g in range(generations):
        ledger.append(a_block(rng, g, size))
        best = max(best, round(g**0.5 / generations, 1))
        ledger.append(Generation(g, (g + 1) * size, float(g), best, g * size, 0, 0))
    if safe:
        ledger.close()
    return ledger


def a_block(rng, g: int, size: int) -> BlockRecord:
    experiments = np.arange(g * size, (g + 1) * size, dtype=np.uint32)
    scores = rng.random((size, 4)).astype(np.float32)
    crashed = list(range(0, size, 10))
    scores[crashed] = np.nan
    rows = rng.integers(0, 250, (size, 3)).astype(np.uint8)
    outcomes = dict.fromkeys(crashed, "crash")
    return BlockRecord(f"{g * size}.0.4", experiments, 0, 4, rows, scores, outcomes, {}, 0.25, 0.5)


def test_an_export_in_pieces_is_the_export(tmp_path):
    """Both forms hold the same experiments and barriers, and no piece is longer than one of these."""
    long_run(tmp_path, 30, 40)
    history = read(tmp_path)
    whole = export(history)
    assert len(whole["experiments"]) == 1200
    pieces = list(as_json(history))
    assert json.loads("".join(pieces)) == whole
    assert list(json.loads("".join(pieces))) == list(whole), "in the same order"
    assert max(map(len, pieces)) < 2000
    first, *lines = map(json.loads, as_lines(history))
    assert lines == whole["experiments"] + [{"generation": g} for g in whole["generations"]]
    assert first["run"] == {k: v for k, v in whole.items() if k not in ("experiments", "generations")}


def test_a_history_counts_without_keeping_blocks(tmp_path):
    """Failures, CPU time and the scores of some experiments are those that all blocks together give."""
    long_run(tmp_path, 12, 40)
    history = read(tmp_path)
    scores, failed = history.dev_scores()
    assert history.failures() == {"crash": len(failed)} == {"crash": 48}
    assert (history.cpu_seconds, len(history.blocks)) == (3.0, 12)
    some = history.scored([3, 41, 479, 10**6])
    made = history.candidates()
    assert sorted(some) == [3, 41, 479]
    for e, (candidate, row) in some.items():
        assert candidate == made[e]
        assert np.array_equal(row, scores[e])
    assert [b.id for b in history.blocks_of(41)] == ["40.0.4"]


def test_a_page_shows_few_barriers_of_many():
    """All of a short run; of a long one those at which the best value changed, and the last: the curve is the same."""

    def run(n, best):
        return [Generation(i, i + 1, 0.0, best(i), 0, 0, 0) for i in range(n)]

    short = run(drawing.POINTS, lambda i: float(i))
    assert drawing.shown(short) == short
    steps = drawing.shown(run(10**5, lambda i: float(i // 1000)))
    assert [g.number for g in steps] == [*range(0, 10**5, 1000), 10**5 - 1]
    rising = drawing.shown(run(10**5, lambda i: float(i)))
    assert len(rising) <= drawing.POINTS + 1
    assert rising[-1].number == 10**5 - 1


def test_verify_runs_more_of_a_longer_run_again():
    """The root of the number of experiments, and never fewer than 24."""
    assert [sample_size(n) for n in (1, 150, 10**4, 10**6)] == [24, 24, 100, 1000]
