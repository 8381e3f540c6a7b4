"""`--until` and `--patience`: a climb stops where its user asked and says why, also when it is resumed."""

from types import SimpleNamespace

import pytest

from toprope.journal.ledger import read_entries
from toprope.run.stopping import Stop


def wishes(until=None, patience=None):
    return SimpleNamespace(until=until, patience=patience)


def test_patience_is_used_up_by_experiments_without_anything_better():
    """A better practice value or a promotion begins it anew; a worse one does not."""
    stop = Stop(wishes(patience=10))
    assert not stop.barrier(5, 0.1, 0, None)
    assert not stop.barrier(14, 0.1, 0, None)
    assert not stop.barrier(15, 0.1, 1, 0.2)
    assert not stop.barrier(24, 0.05, 1, 0.2)
    assert stop.barrier(25, 0.1, 1, 0.2)
    assert stop.why == "10 experiments brought no better practice value and no promotion (--patience 10)"


@pytest.mark.parametrize(("measured", "over"), [(None, False), (0.49, False), (0.5, True)])
def test_until_is_about_what_was_measured(measured, over):
    """Not about practice: what counts is the champion on fresh data."""
    assert Stop(wishes(until=0.5)).barrier(5, 0.9, 1, measured) is over


@pytest.mark.slow
def test_a_climb_stops_and_stays_where_it_was(cli, tmp_path):
    """The options are the run's: resumed, it makes no experiment more, and the same climb stops at the same place."""
    options = ("--climber", "random", "--experiments", 4000, "--patience", 60, "--rehearsal-secret", "x")
    for name in ("a", "b"):
        done = cli.json("climb", "testing/coin-v1", *options, "--run", tmp_path / name)
        assert 60 <= done["experiments"] < 4000
    again = cli.run("resume", tmp_path / "b", "--json")
    assert "the climb is over: " in again.stderr
    assert "(--patience 60)" in again.stderr
    one, other = (cli.export(tmp_path / name) for name in ("a", "b"))
    assert one["experiments"] == other["experiments"]
    assert len([e for e in read_entries(tmp_path / "b") if e.kind == "ask"]) == 1
