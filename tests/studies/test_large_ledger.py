"""The figures of docs/performance.md in small: counted, not timed."""

import pytest

from studies.engine import large_ledger
from toprope import paths
from toprope.journal import checkpoint, reading, records
from toprope.journal.ledger import read_entries
from toprope.journal.reading import read
from toprope.journal.spec import RunSpec
from toprope.run import keeping
from toprope.run.driver import Audience
from toprope.run.evaluate import Evaluator
from toprope.run.session import Session
from toprope.sandbox.selftest import Choice

pytestmark = pytest.mark.e2e
EXPERIMENTS = 20_000


@pytest.fixture
def large(monkeypatch, tmp_path):
    """Every ledger counts as large."""
    monkeypatch.setattr(checkpoint, "LARGE", 0)
    monkeypatch.setattr(keeping, "PAYS", 0)
    monkeypatch.setattr(paths, "cache", lambda: tmp_path / "cache")


def climb(run, spec=None):
    with Session(run, spec, lambda _: Choice("linux-landlock"), 1, Audience(), vault=run.parent / "vault") as session:
        session.climb()


@pytest.mark.slow
def test_a_long_climb_is_small_and_is_not_done_again(large, monkeypatch, tmp_path):
    """Few bytes an experiment; resumed when it is over, it proposes nothing, and no block of it is decoded."""
    run = tmp_path / "run"
    spec = RunSpec.from_keywords(large_ledger.TASK, "evolution", experiments=EXPERIMENTS, rehearsal_secret="x")
    climb(run, spec)
    assert sum(p.stat().st_size for p in run.glob("ledger.db*")) < 40 * EXPERIMENTS
    entries = len(read_entries(run))
    decoded, asked = list[str](), list[str]()
    monkeypatch.setattr(reading, "record", lambda e: decoded.append(e.kind) or records.record(e))
    monkeypatch.setattr(Evaluator, "__call__", lambda self, pieces: asked.append("block") or [])
    climb(run)
    assert asked == []
    assert "block" not in decoded
    assert len(read_entries(run)) == entries + 1, "the new session's number"
    assert read(run).experiments == EXPERIMENTS


def test_a_made_ledger_is_one(large, tmp_path):
    """The study's second ledger is read, told and checked like any other, with many small blocks."""
    run = tmp_path / "run"
    climb(run, RunSpec.from_keywords(large_ledger.TASK, "random", experiments=9, rehearsal_secret="x"))
    history = read(large_ledger.made(tmp_path / "small", run, 640))
    assert (history.experiments, len(history.blocks), len(history.generations)) == (640, 160, 20)


@pytest.mark.slow
def test_memory_is_flat(monkeypatch, tmp_path):
    """The run process of 400,000 experiments holds little more than that of 100,000, and less than 150 MiB."""
    short, long = (large_ledger.climbed(tmp_path / str(n), n, "evolution").peak for n in (100_000, 400_000))
    assert long < 150
    assert long - short < 30
