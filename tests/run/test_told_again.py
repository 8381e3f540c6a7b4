"""What observers hear of a run that goes on: what it holds already, once and in order, and then what is new."""

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


def test_a_climb_that_goes_on_is_told_from_its_beginning(cli, tmp_path):
    """The opening when the session stands; everything else that was recorded when its climb begins; nothing twice."""
    cli.json("climb", "testing/coin-v1", "--experiments", 40, "--workers", 1, "--run", tmp_path / "run")
    before = [record(e) for e in read_entries(tmp_path / "run")]
    screen = Listener()
    with Session(tmp_path / "run", None, best_tier, 1, screen) as session:
        assert kinds(screen.heard) == ["SessionRecord", "Opening"]
        session.climb()
        told = [r for r in before if not isinstance(r, Opening)]
        assert kinds(screen.heard[2:]) == kinds(told)
        session.unseal()
    assert kinds(screen.heard[2:]) == [*kinds(told), "Committed", "Opened"]
    after = [record(e) for e in read_entries(tmp_path / "run")]
    assert kinds(after) == [*kinds(before), "SessionRecord", "Committed", "Opened"]
    assert screen.heard[0] == next(r for r in reversed(after) if isinstance(r, SessionRecord))


def test_a_run_that_is_only_unsealed_is_not_told_again(cli, tmp_path):
    """Who opens the test sees the run's header and the result."""
    cli.json("climb", "testing/coin-v1", "--experiments", 10, "--workers", 1, "--run", tmp_path / "run")
    screen = Listener()
    with Session(tmp_path / "run", None, best_tier, 1, screen) as session:
        session.unseal()
    assert kinds(screen.heard) == ["SessionRecord", "Opening", "Committed", "Opened"]
