"""The screen: header, gate events and results as they happen; a panel that draws in every state it can be in."""

import io

import msgspec
import pytest
from histories import EVIL, block, estimate, generation, history, opening
from rich.console import Console

from toprope.executors.messages import Node
from toprope.journal.records import AttemptRecord
from toprope.referee.recorded import Answer
from toprope.types import Candidate, Tree
from toprope.view import terminal, text

ASKED = AttemptRecord(Candidate(Tree({}), {}), 1, 0.5, True)
NOT_YET = Answer("c", False, 1, 1)
PROMOTE = Answer("c", True, 2, 1, estimate(0.4))


def play(screen) -> None:
    """One climb's worth of events."""
    screen.progress("drawing coins", 0.5)
    screen.progress("drawing coins", 1.0)
    screen.say(f"conversation ada-1 was ended by an error: {EVIL}")
    screen.hear(opening())
    for number, best in enumerate([None, 0.1, 0.2, -0.3]):
        screen.hear(block())
        screen.hear(generation(number, best))
    screen.hear(ASKED)
    screen.hear(NOT_YET)
    screen.hear(AttemptRecord(ASKED.candidate, 7, 0.5, False))
    screen.hear(ASKED)
    screen.hear(PROMOTE)
    screen.progress("opening the sealed test", 0.3)
    screen.hear(history().test)


def test_what_every_scorer_does_ends_once(capsys):
    """Each of them reads the logs; a line apiece would tell nothing."""
    with terminal.PlainScreen() as screen:
        for _ in range(5):
            screen.progress("reading logs", 0.0)
            screen.progress("reading logs", 1.0)
    assert capsys.readouterr().err.splitlines() == ["reading logs: 0 %", "reading logs: 100 %"]


def test_plain_lines_tell_the_climb(capsys):
    """Header, protection, every event of the gate and the sealed result, in order, on stderr alone."""
    with terminal.PlainScreen() as screen:
        play(screen)
    out, err = capsys.readouterr()
    assert out == ""
    words = ["testing/coin-v1", "protection: linux-landlock", "certifies nothing", "not yet"]
    words += ["experiment 7: dev scores changed", "PROMOTE, measured 0.400", "sealed test: 0.300"]
    at = [err.index(w) for w in words]
    assert at == sorted(at)
    assert "\x1b" not in err
    assert "\x07" not in err


def test_progress_by_node():
    """Machines that carried practice work are shown by name with their blocks, cleaned."""
    state = terminal.State()
    for name in ("n1", f"n2{EVIL}", "n1"):
        state.hear(msgspec.structs.replace(block(), node=Node(name, "linux-full", "0.1.0", "")))
    label, value = state.lines()[-1]
    assert (label, value[: len("2, blocks done: n1 2, n2")]) == ("nodes", "2, blocks done: n1 2, n2")
    assert text.clean(value) == value


@pytest.fixture
def panel(monkeypatch):
    """A panel on a terminal of its own; returns it and what was drawn."""
    screen = io.StringIO()
    real = Console

    def console(**_: object) -> Console:
        return real(file=screen, force_terminal=True, width=100)

    monkeypatch.setattr("rich.console.Console", console)
    return terminal.LivePanel(), screen


def test_the_panel_draws_a_climb(panel):
    """Live redrawing through all events ends without an error, and hostile words are neither markup nor control."""
    live, screen = panel
    with live:
        play(live)
    drawn = screen.getvalue()
    for words in ("champion", "PROMOTE", "sealed test", "experiments"):
        assert words in drawn
    assert "[boldred]" in "".join(drawn.split())  # wherever the lines were broken
    assert "\x07" not in drawn


def test_the_panel_draws_in_every_state(panel):
    """Before anything is known, while something is prepared, without a single score, with one."""
    live, _ = panel
    printed = io.StringIO()
    console = Console(file=printed, force_terminal=True, width=80)
    console.print(live._render())
    live.progress("preparing", 0.0)
    console.print(live._render())
    live.hear(opening(experiments=None, minutes=0.001))
    console.print(live._render())
    live.hear(generation(0, None))
    console.print(live._render())
    live.hear(generation(1, 0.5))
    live.hear(generation(2, 0.5))
    console.print(live._render())
    assert "best dev" in printed.getvalue()


def test_results_for_people_hold_no_control_characters():
    """A candidate's message cannot move the cursor, ring the bell or forge a line."""
    words = text.submission(
        {
            "candidate": "c" * 64, "outcome": "crash", "dev": None, "message": f"{EVIL}\nprotection: forged",
            "incidents": [{"kind": "k", "severity": "certain", "evidence": EVIL}], "verdict": None,
            "protection": {"tier": "none"},
        }
    )  # fmt: skip
    assert "\x1b" not in words
    assert "\x07" not in words
    assert not any(line.startswith("protection: forged") for line in words.splitlines())
    said = text.model({"name": f"p/{EVIL}\nprotection: forged", "replies": 1, "tokens": 1, "dollars": 0.0})
    assert said.isprintable()
