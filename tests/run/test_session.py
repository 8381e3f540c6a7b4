"""What a session refuses, and what it gives back, before any process is started."""

import histories
import msgspec
import pytest

from toprope import seeding
from toprope.errors import RunError, UsageError
from toprope.journal.ledger import SqliteLedger
from toprope.journal.records import Committed, SessionRecord
from toprope.run.accounts import Quota
from toprope.run.session import Session, _check_beacon
from toprope.sandbox.selftest import Choice

PAST = "linux-landlock"  # the tier of the histories


class Screen:
    """Keeps what it hears."""

    def __init__(self):
        self.heard = []

    def hear(self, record):
        self.heard.append(type(record).__name__)

    def say(self, line): ...
    def progress(self, what, done): ...
    def wait(self, seconds): ...


@pytest.fixture
def written(tmp_path):
    """Makes a run directory of these records."""

    def write(*records):
        (tmp_path / "run").mkdir()
        ledger = SqliteLedger(tmp_path / "run" / "ledger.db", create=True)
        for record in records:
            ledger.append(record)
        ledger.close()
        return tmp_path / "run"

    return write


def sit(run, tier=PAST, screen=None):
    return Session(run, None, lambda past: Choice(tier), 1, screen or Screen())


def test_a_run_that_never_began_is_told_as_such(written):
    """A ledger that holds nothing; it can be opened again afterwards."""
    run = written()
    for _ in range(2):
        with pytest.raises(RunError, match="ended before it began; start it again with `toprope climb`"):
            sit(run)


@pytest.mark.parametrize("tier", ["none", "linux-full"])
def test_a_run_keeps_its_protection(written, tier):
    """Refused before a hub counts a session, with what would be right."""
    story = histories.history(tested=False)
    run = written(story.opening.spec, SessionRecord(1), story.opening, *story.blocks)
    asked: list[str | None] = []

    def found(past):
        asked.append(past)
        return Choice(tier)

    with pytest.raises(RunError, match=rf"begun under protection '{PAST}'.*it without --i-trust-the-candidates"):
        Session(run, None, found, 1, Screen())
    assert asked == [PAST], "the tier that is proved is the run's own, whatever would be better"


def test_a_run_without_protection_keeps_none(written):
    """Nobody gets a protected record by climbing unprotected first."""
    story = histories.history(tested=False)
    opening = msgspec.structs.replace(story.opening, tier="none")
    run = written(opening.spec, SessionRecord(1), opening, *story.blocks)
    with pytest.raises(RunError, match=r"'none'.*continue it with --i-trust-the-candidates"):
        sit(run, PAST)


def test_an_open_test_needs_no_process(written):
    """Its result is the ledger's, observers hear the opening, climbing does nothing, and authors are refused."""
    story, screen = histories.history(), Screen()
    assert story.test is not None
    opening = msgspec.structs.replace(story.opening, commitment=seeding.commitment(story.test.secret))
    some = [*story.blocks, *story.generations, *story.asked, *story.answers, Committed(story.champion.id), story.test]
    run = written(opening.spec, SessionRecord(1), opening, *some)
    with sit(run, "none", screen) as session:
        session.climb()
        assert session.unseal().secret == story.test.secret
        assert session.champion().id == story.champion.id
        with pytest.raises(RunError, match="has committed to its champion and takes no candidates"):
            session.submissions(Quota())
        assert (session._hub, session._executor) == (None, None)
    assert screen.heard == ["Opening"]


@pytest.mark.parametrize(
    ("round_", "value", "committed", "why"),
    [
        (None, "a3f1c4d9e8b7", True, "named no beacon round when it began"),
        ("drand 99", "a3f1c4d9e8b7", False, "has not committed to a candidate yet"),
        ("drand 99", "short", True, "expected the value as published, 8 to 1024"),
        ("drand 99", " a3f1c4d9e8b7", True, "expected the value as published"),
        ("drand 99", "a3f1\nc4d9e8b7", True, "printable characters"),
        ("drand 99", "a" * 1025, True, "8 to 1024"),
    ],
)
def test_a_beacon_value_that_proves_nothing_is_refused(tmp_path, round_, value, committed, why):
    """In an order that nobody can choose after seeing the value: round, commitment, value."""
    with pytest.raises(UsageError, match=why):
        _check_beacon(tmp_path, round_, value, committed)


@pytest.mark.parametrize(("round_", "value"), [(None, None), ("drand 99", None), ("drand 99", "a3f1c4d9e8b7")])
def test_a_beacon_value_in_its_turn_is_taken(tmp_path, round_, value):
    """A run commits without one."""
    _check_beacon(tmp_path, round_, value, True)
