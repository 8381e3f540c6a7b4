"""What observers hear of a run that goes on: what it holds already, once and in order, and then what is new."""

import shutil

import pytest

from toprope.journal.ledger import read_entries
from toprope.journal.records import Opening, SessionRecord, record
from toprope.run.session import Session
from toprope.sandbox.selftest import best_tier


class Listener:
    """A screen that keeps what it hears."""

    def __init__(self):
        self.heard = []

    def hear(self, record):
        self.heard.append(record)

    def say(self, line): ...
    def progress(self, what, done): ...
    def wait(self, seconds): ...


def kinds(some):
    return [type(r).__name__ for r in some]


@pytest.fixture(scope="module")
def climbed(cli, tmp_path_factory):
    base = tmp_path_factory.mktemp("climbed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TOPROPE_VAULT", str(base / "vault"))
        cli.json("climb", "testing/coin-v1", "--experiments", 40, "--workers", 1, "--run", base / "run")
    return base


@pytest.fixture
def run(climbed, tmp_path, monkeypatch):
    """A copy of a run that was climbed and not unsealed, and of the vault that knows it."""
    shutil.copytree(climbed, tmp_path / "copy")
    monkeypatch.setenv("TOPROPE_VAULT", str(tmp_path / "copy" / "vault"))
    return tmp_path / "copy" / "run"


@pytest.mark.slow
def test_a_climb_that_goes_on_is_told_from_its_beginning(run):
    """The opening when the session stands; everything else that was recorded when its climb begins; nothing twice."""
    before = [record(e) for e in read_entries(run)]
    screen = Listener()
    with Session(run, None, best_tier, 1, screen) as session:
        assert kinds(screen.heard) == ["SessionRecord", "Opening"]
        session.climb()
        told = [r for r in before if not isinstance(r, Opening)]
        assert kinds(screen.heard[2:]) == kinds(told)
        session.unseal()
    assert kinds(screen.heard[2:]) == [*kinds(told), "Committed", "Opened"]
    after = [record(e) for e in read_entries(run)]
    assert kinds(after) == [*kinds(before), "SessionRecord", "Committed", "Opened"]
    assert screen.heard[0] == next(r for r in reversed(after) if isinstance(r, SessionRecord))


@pytest.mark.slow
def test_a_run_that_is_only_unsealed_is_not_told_again(run):
    """Who opens the test sees the run's header and the result."""
    screen = Listener()
    with Session(run, None, best_tier, 1, screen) as session:
        session.unseal()
    assert kinds(screen.heard) == ["SessionRecord", "Opening", "Committed", "Opened"]
