"""A run told from its ledger: what a killed run lacks is left out, what makes no sense is refused."""

import msgspec
import numpy as np
import pytest

from toprope.errors import RunError
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
    rows = np.zeros((int(lo == 0), 1), np.uint8)
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


@pytest.mark.parametrize(
    ("record", "words"),
    [
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
