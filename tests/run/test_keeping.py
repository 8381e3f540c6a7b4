"""A climb that is gone on with from a kept state is the climb: same proposals, blocks, attempts, champion."""

from pathlib import Path

import pytest

from toprope import paths
from toprope.journal import checkpoint
from toprope.journal.export import export
from toprope.journal.reading import read
from toprope.journal.spec import RunSpec
from toprope.run import keeping
from toprope.run.driver import Audience
from toprope.run.evaluate import Evaluator
from toprope.run.keeping import Keeping
from toprope.run.session import Session
from toprope.sandbox.selftest import Choice

pytestmark = pytest.mark.e2e


class Killed(Exception):
    """What ends a session here."""


@pytest.fixture
def often(monkeypatch, tmp_path):
    """Every barrier is kept."""
    monkeypatch.setattr(checkpoint, "LARGE", 0)
    monkeypatch.setattr(keeping, "PAYS", 0)
    monkeypatch.setattr(keeping, "EVERY_S", 0.0)
    monkeypatch.setattr(paths, "cache", lambda: tmp_path / "cache")


def session(run: Path, climber: str = "", experiments: int = 200) -> Session:
    spec = None
    if climber:
        spec = RunSpec.from_keywords("testing/coin-v1", climber, experiments=experiments, seed=2, rehearsal_secret="x")
    return Session(run, spec, lambda _: Choice("linux-landlock"), 1, Audience(), vault=run.parent / "vault")


def climbed(run: Path, climber: str = "") -> None:
    with session(run, climber) as s:
        s.climb()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("climber", "kills"),
    [
        ("evolution", 20),
        ("random", 20),
    ],
)
def test_a_killed_climb_ends_as_one_that_was_not(often, monkeypatch, tmp_path, climber, kills):
    """Killed after every second barrier, at most `kills` times, while an answer of the gate is due too; what is read
    again is what was made since."""
    climbed(tmp_path / "whole", climber)
    kept, replayed = Keeping.__call__, list[int]()

    def killed(self, number, *rest):
        kept(self, number, *rest)
        if number % 2 == 0 and sessions < kills:
            raise Killed

    same = Evaluator._same

    def counted(self, past, piece):
        replayed.append(int(piece.experiments[0]))
        return same(self, past, piece)

    monkeypatch.setattr(Keeping, "__call__", killed)
    monkeypatch.setattr(Evaluator, "_same", counted)
    run, sessions = tmp_path / "run", 0
    for _ in range(kills + 1):
        try:
            climbed(run, climber if not sessions else "")
            break
        except Killed:
            sessions += 1
    assert sessions >= 3
    assert replayed == []
    assert export(read(run)) == export(read(tmp_path / "whole"))


@pytest.mark.slow
def test_a_state_of_other_code_is_not_used(often, monkeypatch, tmp_path):
    """The loop reads the ledger instead, and comes to the same end."""
    climbed(tmp_path / "run", "evolution")
    before, blocks = export(read(tmp_path / "run")), len(read(tmp_path / "run").blocks)
    replayed = []
    same = Evaluator._same
    monkeypatch.setattr(Evaluator, "_same", lambda s, past, piece: replayed.append(past.id) or same(s, past, piece))
    climbed(tmp_path / "run")
    assert replayed == []
    monkeypatch.setattr(keeping, "code", lambda: "other")
    climbed(tmp_path / "run")
    assert len(replayed) == blocks
    assert export(read(tmp_path / "run")) == before
