"""A run told from its ledger: what a killed run lacks is left out, what makes no sense is refused."""

import msgspec
import numpy as np
import pytest

from toprope.errors import RunError
from toprope.journal import tables
from toprope.journal.export import export
from toprope.journal.reading import from_entries
from toprope.journal.records import BlockRecord, Generation, Opening, kind_of
from toprope.journal.spec import RunSpec, Search
from toprope.protocols import Entry
from toprope.referee.recorded import Answer
from toprope.space import Space, choice
from toprope.types import Tree
from toprope.wire import encode

OPENING = Opening(
    spec=RunSpec("r", "testing/coin-v1", Search("random"), seed=1, experiments=9), toprope="0",
    tier="none", commitment="c", certifying=False, number=1, vault_since="2026-01-01", hidden="",
    detectable=0.1, protection={}, floors=np.zeros(4), ceilings=np.ones(4), tree=Tree({"solution.py": b""}),
    space=Space([choice("face", [0, 1])]), started=0.0,
)  # fmt: skip


def block(lo: int, hi: int, **changes: object) -> BlockRecord:
    rows = np.zeros((int(lo == changes.get("first_draw", 0)), 1), np.uint8)
    scores = np.full((1, hi - lo), 0.5, np.float32)
    whole = BlockRecord(f"0.{lo}.{hi}", np.array([0], np.uint32), lo, hi, rows, scores, {}, {}, 0.1, 0.1)
    return msgspec.structs.replace(whole, **changes)


def history(*records: object, opening: Opening = OPENING):
    rows = [opening, *records]
    return from_entries("run", [Entry(i, kind_of(r), encode(r), "h") for i, r in enumerate(rows)])


@pytest.mark.parametrize(
    ("blocks", "scores"), [([(2, 4)], []), ([(2, 4), (0, 2)], [0.5] * 4), ([(0, 1), (2, 4)], [0.5])]
)
def test_a_killed_run_can_be_exported(blocks, scores):
    """Blocks of a rung come in any order, and a kill loses any of them: only scores without a gap before them count."""
    rows = export(history(*[block(lo, hi) for lo, hi in blocks]))["experiments"]
    assert [x for row in rows for x in row["scores"]] == scores


def turning(*spans: tuple[int, int], experiment: int = 0) -> list[BlockRecord]:
    """Blocks of an experiment that began at draw 3 of 4; each score is its draw's number."""
    number = np.array([experiment], np.uint32)
    return [
        block(
            lo,
            hi,
            id=f"{experiment}.{lo}.{hi}",
            experiments=number,
            first_draw=3,
            scores=np.arange(lo, hi, dtype=np.float32)[None],
        )
        for lo, hi in spans
    ]


@pytest.mark.parametrize(
    ("spans", "scores", "places"),
    [
        ([(3, 4)], [3.0], [None, None, None, 3.0]),
        ([(0, 1), (3, 4)], [3.0, 0.0], [0.0, None, None, 3.0]),
        ([(1, 3), (0, 1), (3, 4)], [3.0, 0.0, 1.0, 2.0], [0.0, 1.0, 2.0, 3.0]),
        ([(1, 3), (3, 4)], [3.0], [None, None, None, 3.0]),  # a killed run lacks draw 0
    ],
)
def test_an_experiment_may_begin_at_any_draw(spans, scores, places):
    """Draw 0 follows the last one: exports tell scores from the first draw on, everything else by the draw's number."""
    s = history(*turning(*spans), *[block(0, 4, id="1", experiments=np.array([1], np.uint32))])
    (row, other), (part, *_) = export(s)["experiments"], s.parts()
    assert (row["first_draw"], row["scores"], other["first_draw"]) == (3, scores, 0)
    assert [None if np.isnan(x) else x for x in part.scores[0].tolist()] == places
    assert part.columns["draws"].tolist() == [len(scores), 4]
    assert part.columns["first_draw"].tolist() == [3, 0]
    assert part.columns["dev"].tolist() == [np.mean(scores), 0.5]
    if spans != [(1, 3), (3, 4)]:  # these tell all scores that are there
        told = s.dev_scores()[0][0].tolist()
        assert told == ([0.0, 1.0, 2.0, 3.0] if len(scores) == 4 else scores)
        assert np.array_equal(s.scored([0])[0][1], part.scores[0], equal_nan=True)
    assert next(tables.as_csv(s)).splitlines()[1].endswith(f'"{scores}"' if len(scores) > 1 else f"{scores}")


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (block(0, 2, first_draw=4), "draws out of range"),
        (block(0, 2, first_draw=1, rows=np.zeros((1, 1), np.uint8)), "of a wrong shape"),
        (block(0, 2, scores=np.zeros((1, 3), np.float32)), "of a wrong shape"),
        (block(0, 2, rows=np.full((1, 1), 2, np.uint8)), "of a wrong shape"),
        (block(0, 9), "draws out of range"),
        (block(0, 2, outcomes={3: "crash"}), "outcome that does not exist"),
        (block(0, 2, outcomes={0: "fine"}), "outcome that does not exist"),
        (block(0, 2, scores=np.full((1, 2), np.nan, np.float32)), "not finite"),
        (Generation(0, 1, float("nan"), None, None, 0, 0), "generation 0"),
        (Answer("c", True, 1, 1), "an answer without an attempt"),
    ],
)
def test_records_that_make_no_sense_together(record, words):
    """A chain that holds proves no sense: one line names the first thing that cannot be."""
    with pytest.raises(RunError, match=words):
        history(record)


def test_an_opening_that_makes_no_sense():
    """Levels that are not JSON and anchors that are not numbers would be shown as a result."""
    for changes in (
        {"floors": np.full(4, np.nan)},
        {"space": Space([choice("face", [float("nan")])])},
        {"space": Space([choice("face", [0], default=3)])},
        {"protection": {"tier": float("inf")}},
    ):
        with pytest.raises(RunError, match="is inconsistent"):
            history(opening=msgspec.structs.replace(OPENING, **changes))
