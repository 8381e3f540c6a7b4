"""What ledgers, tasks, candidates and services wrote passes one door before a terminal: no control character passes."""

import io
import sys
from pathlib import Path

import histories
import msgspec
import pytest

from toprope import seeding
from toprope.journal.ledger import SqliteLedger
from toprope.journal.records import Committed, SessionRecord
from toprope.journal.spec import CandidateModel, Plan, Researchers
from toprope.tasks.new import new
from toprope.view import terminal, text

HOSTILE = "\x1b]0;PWNED\x07\x9b31m\r\n\u202etoprope: all is well\x1b[2J"


@pytest.fixture
def run(tmp_path, monkeypatch) -> Path:
    """A run whose records make sense together and are hostile in every text that a ledger may hold."""
    monkeypatch.setenv("TOPROPE_VAULT", str(tmp_path / "vault"))
    monkeypatch.setattr(histories, "EVIL", HOSTILE)
    monkeypatch.setattr(
        histories, "PROTECTION", dict.fromkeys(("tier", "identity", "network", "instead", HOSTILE), HOSTILE)
    )
    s = histories.history()
    spec = msgspec.structs.replace(s.opening.spec, beacon_round=HOSTILE, candidate_model=CandidateModel(HOSTILE, 3))
    hostile = {"spec": spec, "toprope": HOSTILE, "vault_since": HOSTILE}
    o = msgspec.structs.replace(s.opening, commitment=seeding.commitment(b"s" * 32), **hostile)
    assert s.test is not None
    test = msgspec.structs.replace(s.test, beacon=HOSTILE, incidents={HOSTILE: []})
    return written(tmp_path / "run", s, o, test)


def written(folder: Path, s, o, test) -> Path:
    folder.mkdir()
    ledger = SqliteLedger(folder / "ledger.db", create=True)
    some = [*s.blocks, *s.generations, *s.asked, *s.answers, Committed(s.champion.id), test]
    for record in [o.spec, SessionRecord(1), o, *some]:
        ledger.append(record)
    ledger.close()
    return folder


def harmless(words: str) -> bool:
    return all(c.isprintable() or c == "\n" for c in words) and "\ntoprope: all is well" not in words


COMMANDS = ["resume", "unseal", "show", "report", "export", "verify", "hackrate"]


@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_that_reads_a_run_lets_it_speak_to_the_terminal(cli, run, command):
    """Each prints what is there, spelled out, and nothing that moves the cursor, names a window or forges a line."""
    done = cli.run(command, run)
    assert harmless(done.stdout), done.stdout
    assert harmless(done.stderr), done.stderr
    assert "Traceback" not in done.stderr
    assert "PWNED" in done.stdout + done.stderr or command == "report"


def test_a_table_of_a_hostile_run(cli, run, tmp_path):
    """CSV goes to the terminal, too; Parquet goes to a file only."""
    done = cli.run("export", run, "--format", "csv")
    assert harmless(done.stdout), done.stdout
    assert "PWNED" in done.stdout
    done = cli.run("export", run, "--format", "parquet")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "toprope: --format parquet writes a binary file; name it with -o FILE\n"
    done = cli.run("export", run, "--format", "parquet", "-o", tmp_path / "x.parquet")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_lists_and_folders_of_hostile_runs(cli, run, tmp_path):
    """The same for a folder of runs, and for files of a champion."""
    for words in (["ls", tmp_path], ["clean", tmp_path], ["show", run, "--champion", tmp_path / "best"]):
        done = cli.run(*words)
        assert done.returncode == 0, done.stderr
        assert harmless(done.stdout), done.stdout


def test_a_hostile_task_or_climber_of_a_run(cli, run, tmp_path):
    """A task that is not known here, and authors' models, stand in complaints: one line, spelled out."""
    s = histories.history()
    s.opening = msgspec.structs.replace(s.opening, commitment=seeding.commitment(b"s" * 32))
    for name, changes in (
        ("task", {"task": HOSTILE}),
        ("model", {"climber": Researchers(Plan(HOSTILE, 1, [HOSTILE]))}),
    ):
        spec = msgspec.structs.replace(s.opening.spec, **changes)
        other = written(tmp_path / name, s, msgspec.structs.replace(s.opening, spec=spec), s.test)
        for command in COMMANDS:
            done = cli.run(command, other)
            assert harmless(done.stdout + done.stderr), (command, done)
            assert "Traceback" not in done.stderr


def test_a_task_of_ones_own_with_a_hostile_title(cli, tmp_path, monkeypatch):
    """What a task says of itself is shown in `tasks` and `check`."""
    new(tmp_path / "mine", "own/mine-v1")
    toml = (tmp_path / "mine" / "task.toml").read_text()
    escaped = "".join(f"\\u{ord(c):04x}" for c in HOSTILE)
    start = toml.index('title = "')
    toml = toml[:start] + f'title = "{escaped}"' + toml[toml.index("\n", start) :]
    (tmp_path / "mine" / "task.toml").write_text(toml)
    monkeypatch.setenv("TOPROPE_TASKS", str(tmp_path / "mine"))
    done = cli.run("tasks")
    assert "PWNED" in done.stdout
    assert harmless(done.stdout)


@pytest.mark.parametrize("screen", [terminal.PlainScreen, terminal.LivePanel])
def test_what_a_service_or_a_task_says_while_it_works(monkeypatch, screen):
    """Progress, lines and events pass the same door, in a pipe and on the live panel."""
    seen = io.StringIO()
    monkeypatch.setattr(sys, "stderr", seen)
    view = screen()
    with view:
        view.progress(HOSTILE, 0.5)
        view.say(HOSTILE)
        view.hear(histories.opening(vault_since=HOSTILE))
        view.hear(histories.block())
        view.progress(HOSTILE, 0.5)
        shown = view._render() if screen is terminal.LivePanel else None
        view.progress(HOSTILE, 1.0)
        view.hear(histories.generation(0, 0.1))
    if shown is not None:
        from rich.console import Console

        Console(file=seen, force_terminal=False).print(shown)
    assert "PWNED" in seen.getvalue()
    assert harmless(seen.getvalue())


def test_the_door():
    """Every string of a result is spelled out, names of fields too, and ends of lines are ours alone."""
    cleaned = text.clean_all({HOSTILE: [HOSTILE, 1, None, {"a": (HOSTILE,)}]})
    assert harmless(repr(cleaned).replace("\n", "\x00"))
    assert text.printable(f"one\n{HOSTILE}").count("\n") == 1 + HOSTILE.count("\n")
    assert harmless(text.printable("\x1b[2J").replace("\n", "\x00"))
