"""The command line keeps its contract: one line for a mistake, its exit code, one JSON object, nothing left."""

import json
import os
import shlex
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import cells
import msgspec
import pytest

from toprope.journal.ledger import SqliteLedger, read_entries
from toprope.journal.records import Opening, record
from toprope.journal.spec import External, RunSpec
from toprope.run.submit import submit
from toprope.sandbox.selftest import Choice

COIN = "testing/coin-v1"
GOOD = "def answer(nonce, *, params):\n    return [1.0, 0.05, nonce[0]]\n"
NO_LANDLOCK = """
import ctypes, errno, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
deny = [(0x20, 0, 0, 0), (0x15, 0, 1, 444), (0x06, 0, 0, 0x50000 | errno.ENOSYS), (0x06, 0, 0, 0x7FFF0000)]
code = b"".join(struct.pack("<HBBI", *op) for op in deny)
class Filter(ctypes.Structure):
    _fields_ = (("len", ctypes.c_ushort), ("filter", ctypes.c_char_p))
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, ctypes.byref(Filter(len(deny), code)), 0, 0) == 0
os.execv(sys.argv[1], sys.argv[1:])
"""  # landlock_create_ruleset does not exist, as in a container that does not allow it


pytestmark = pytest.mark.usefixtures("nothing_left_running")


def complaint(done: subprocess.CompletedProcess, *words: str, code: int = 2) -> str:
    """The one line a failed command wrote, which names all these words."""
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("toprope: "), line
    for word in words:
        assert word in line, line
    return line


def copy_of(finished, tmp_path: Path, monkeypatch) -> Path:
    base, _ = finished
    shutil.copytree(base, tmp_path / "copy")
    monkeypatch.setenv("TOPROPE_VAULT", str(tmp_path / "copy" / "vault"))
    return tmp_path / "copy" / "run"


# ---------------------------------------------------------------- what cannot begin


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["climb", "no/task-v1"], ["'no/task-v1'", "w2s/probe-v1"]),
        (["climb", "proxy/reward-modl-v1"], ["did you mean proxy/reward-model-v1?"]),
        (["climb", COIN, "--climber", "genius"], ["'genius'", "evolution", "random", "llm"]),
        (["climb", COIN, "--climber", "evolutoin"], ["did you mean evolution?"]),
        (["climb", COIN, "--climber", "external"], [f"`toprope mcp {COIN}`"]),
        (["climb", COIN, "--climber", "llm:openai/x"], ["--climber llm --model openai/x"]),
        (["climb", COIN, "--climber", "random", "--tokens", "5"], ["--tokens is for --climber llm"]),
        (["climb", COIN, "--climber", "random", "--directions", "f"], ["--directions is for --climber llm"]),
        (["climb", COIN, "--climber", "replay"], ["'replay'", "replay:FILE"]),
        (["climb", COIN, "--climber", "replay:nowhere.json"], ["nowhere.json", "No such file"]),
        (["climb", COIN, "--experiments", "0"], ["--experiments 0", "from 1 to"]),
        (["climb", COIN, "--experiments", "-5"], ["--experiments -5", "from 1 to"]),
        (["climb", COIN, "--experiments", str(2**70)], ["--experiments", "from 1 to"]),
        (["climb", COIN, "--experiments", "many"], ["--experiments", "'many'"]),
        (["climb", COIN, "--minutes", "nan"], ["--minutes nan", "above 0"]),
        (["climb", COIN, "--minutes", "inf"], ["--minutes inf", "above 0"]),
        (["climb", COIN, "--minutes", "-1"], ["--minutes -1", "above 0"]),
        (["climb", COIN, "--seed", "-1"], ["--seed", "-1", "from 0 to"]),
        (["climb", COIN, "--seed", str(2**63)], ["--seed", str(2**63)]),
        (["climb", COIN, "--workers", "0"], ["--workers", "0", "1<=x<=512"]),
        (["climb", COIN, "--executor", "moon"], ["--executor", "'moon'", "local"]),
        (["climb"], ["TASK", "toprope climb --help"]),
        (["climbs"], ["'climbs'"]),
        (["submit", "no/task-v1", "."], ["'no/task-v1'"]),
        (["submit", COIN, ".", "--seed", "-1"], ["--seed", "-1"]),
        (["resume", "nowhere"], ["nowhere", "ledger.db is missing", "toprope climb"]),
        (["unseal", "nowhere"], ["nowhere", "ledger.db is missing"]),
        (["report", "nowhere"], ["nowhere", "ledger.db is missing"]),
        (["export", "nowhere"], ["nowhere", "ledger.db is missing"]),
    ],
)
def test_a_mistake_is_one_line(cli, tmp_path, monkeypatch, arguments, words):
    """It names the thing, its value and what was expected; exit 2, and neither a run nor a vault was made."""
    monkeypatch.chdir(tmp_path)
    complaint(cli.run(*arguments), *words)
    assert list(tmp_path.iterdir()) == []


def write(directory: Path, **files: str | bytes) -> Path:
    directory.mkdir(exist_ok=True)
    for name, data in files.items():
        path = directory / name.replace("_json", ".json").replace("_py", ".py")
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return directory


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ("{", ["params.json", "JSON object"]),
        ("[1]", ["params.json", "list", "JSON object"]),
        ('{"a": NaN}', ["NaN is not a finite number"]),
        ('{"a": 1e999}', ["params.json", "JSON"]),
        ('{"a": %d}' % 10**30, ["params.json"]),  # noqa: UP031  # braces
        ('{"a": "\\ud800"}', ["params.json"]),
        ("[" * 100_000, ["params.json"]),
        (b"\xff\xfe", ["params.json", "utf-8"]),
    ],
)
def test_parameters_that_are_none(cli, tmp_path, params, words):
    """A params.json that is no JSON object of finite values is refused in one line."""
    directory = write(tmp_path / "candidate", solution_py=GOOD, params_json=params)
    complaint(cli.run("submit", COIN, directory), *words)


def test_directories_that_hold_no_candidate(cli, tmp_path):
    """Missing, without solution.py, with a link, a pipe, too many bytes: each is named, and nothing is followed."""
    candidate = tmp_path / "candidate"
    complaint(cli.run("submit", COIN, candidate), "candidate", "not a directory")
    candidate.mkdir()
    complaint(cli.run("submit", COIN, candidate), "no solution.py", "answer")
    write(candidate, solution_py=GOOD)
    (candidate / "more").symlink_to("/etc")
    complaint(cli.run("submit", COIN, candidate), "more is a symbolic link")
    (candidate / "more").unlink()
    os.mkfifo(candidate / "more")
    complaint(cli.run("submit", COIN, candidate), "more is a pipe")
    (candidate / "more").unlink()
    with open(candidate / "big", "wb") as f:
        f.truncate(1 << 40)  # read whole, this would be a terabyte
    complaint(cli.run("submit", COIN, candidate), "65536 bytes", "big")
    (candidate / "big").unlink()
    complaint(cli.run("submit", COIN, candidate, "--params", tmp_path / "none.json"), "none.json", "No such file")


@pytest.mark.parametrize(
    ("source", "outcome", "words"),
    [
        ("def answer(:", "crash", ["SyntaxError", "line 1"]),
        ("x = 1", "invalid", ["must define answer"]),
        ("def answer(nonce):\n    return [1.0]", "invalid", ["shape (1,)", "expected (3,)"]),
        ("def answer(nonce):\n    raise KeyError('why')", "crash", ["KeyError: 'why'", "line 2"]),
        ("def answer(nonce):\n    while True: pass", "timeout", ["limit"]),
        ("import socket\nsocket.socket()", "violation", []),
    ],
)
def test_a_broken_candidate_is_data(cli, tmp_path, source, outcome, words):
    """It ends with exit 1, its outcome, no score, and a message that says what was wrong."""
    directory = write(tmp_path / "candidate", solution_py=source)
    if outcome == "invalid":  # the others take the same way without a process of their own
        result = cli.json("submit", COIN, directory, expect=1)
    else:
        scored = submit(COIN, directory, None, 0, lambda: Choice("linux-landlock"), lambda *_: None)
        result = msgspec.to_builtins(scored)
    assert result["outcome"] == outcome
    assert result["dev"] is None
    for word in words:
        assert word in result["message"]
    assert [i["severity"] for i in result["incidents"]] == (["advisory"] if outcome == "violation" else [])


# ---------------------------------------------------------------- runs


def test_a_directory_that_holds_a_run(cli, finished, tmp_path, monkeypatch):
    """Climbing into it is refused and changes nothing."""
    run = copy_of(finished, tmp_path, monkeypatch)
    before = (run / "ledger.db").read_bytes()
    complaint(cli.run("climb", COIN, "--run", run), "holds a run already", "toprope resume")
    assert (run / "ledger.db").read_bytes() == before


def test_a_run_in_use(cli, finished, tmp_path, monkeypatch):
    """A second process is told to wait; reading the run is still possible."""
    run = copy_of(finished, tmp_path, monkeypatch)
    ledger = SqliteLedger(run / "ledger.db")
    complaint(cli.run("resume", run), "in use by another process")
    complaint(cli.run("climb", COIN, "--run", run), "in use by another process")
    assert cli.run("report", run).returncode == 0
    ledger.close()


def test_places_that_cannot_be_written(cli, finished, tmp_path):
    """A file where a directory should be, a kernel directory: one line, for run, report and export alike."""
    base, _ = finished
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file" / "run", Path("/proc/run")):
        complaint(cli.run("climb", COIN, "--run", place), str(place), "--run")
    for command in ("report", "export"):
        complaint(cli.run(command, base / "run", "-o", tmp_path / "none" / "x"), "none/x", "-o")
    (tmp_path / "vault").write_text("")  # TOPROPE_VAULT of this test
    done = cli.run("climb", COIN, "--run", tmp_path / "run", "--workers", 1)
    assert done.returncode == 2
    assert "TOPROPE_VAULT" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def rewritten(run: Path, **changes: object) -> None:
    """The same ledger with another opening, its chain intact."""
    entries = read_entries(run)
    for name in ("ledger.db", "ledger.db-wal", "ledger.db-shm"):
        (run / name).unlink(missing_ok=True)
    ledger = SqliteLedger(run / "ledger.db", create=True)
    for entry in entries:
        body = record(entry)
        ledger.append(msgspec.structs.replace(body, **changes) if isinstance(body, Opening) else body)
    ledger.close()


def test_a_run_of_another_version(cli, finished, tmp_path, monkeypatch):
    """A release orphans no run: the version is told, and the format of the ledger and what the task does decide."""
    run = copy_of(finished, tmp_path, monkeypatch)
    rewritten(run, toprope="99.0")
    assert cli.json("resume", run)["test"] is not None
    monkeypatch.setenv("TOPROPE_VAULT", str(tmp_path / "a vault that knows nothing"))
    done = cli.run("verify", run, "--workers", 1)
    assert (done.returncode, "the run was made by toprope 99.0, this is" in done.stdout) == (0, True), done


def test_a_ledger_of_a_later_format(cli, finished, tmp_path, monkeypatch):
    """It is refused in one line that names both formats; nothing is started."""
    run = copy_of(finished, tmp_path, monkeypatch)
    with sqlite3.connect(run / "ledger.db") as db:
        db.execute("PRAGMA user_version=99")
    db.close()
    complaint(cli.run("resume", run), "format 99", "reads 1, 2", "the version that made it")


@pytest.mark.parametrize("damage", ["truncated", "scribbled", "edited", "empty"])
def test_a_damaged_ledger(cli, finished, tmp_path, monkeypatch, damage):
    """Every command that reads it says so in one line and leaves it as it is."""
    run = copy_of(finished, tmp_path, monkeypatch)
    path = run / "ledger.db"
    data = path.read_bytes()
    if damage == "edited":
        with sqlite3.connect(path) as db:
            db.execute("UPDATE entries SET body = x'80' WHERE seq = 3")
        db.close()
    else:
        scribbled = data[:5000] + b"\xaa" * 9000 + data[14000:]
        path.write_bytes({"truncated": data[: len(data) // 2], "scribbled": scribbled, "empty": b""}[damage])
    before = path.read_bytes()
    for command in ("report", "resume" if damage == "edited" else "export"):
        complaint(cli.run(command, run), str(run))
    assert path.read_bytes() == before


@pytest.mark.slow
def test_a_start_that_could_not_begin_can_be_repeated(cli, tmp_path):
    """A directory whose ledger holds nothing yet (a disk that was full) is taken for a new run; `resume` says so."""
    SqliteLedger(_made(tmp_path / "run") / "ledger.db", create=True).close()
    complaint(cli.run("resume", tmp_path / "run"), "toprope climb")
    complaint(cli.run("report", tmp_path / "run"), "toprope climb")
    (tmp_path / "run" / "ledger.db").write_bytes(b"")
    options = ["--experiments", 2, "--workers", 1, "--run", tmp_path / "run"]
    assert cli.json("climb", COIN, *options)["experiments"] == 2


def test_a_run_killed_while_starting_is_resumed(cli, tmp_path):
    """What was asked for is the ledger's first entry, so `resume` begins where nothing was begun."""
    ledger = SqliteLedger(_made(tmp_path / "run") / "ledger.db", create=True)
    ledger.append(RunSpec("r1", COIN, experiments=3))
    ledger.close()
    complaint(cli.run("report", tmp_path / "run"), "toprope resume")
    assert cli.json("resume", tmp_path / "run", "--workers", 1)["experiments"] == 3


def test_a_run_of_agents_is_refused_before_anything_counts(cli, tmp_path, monkeypatch):
    """`resume` names the command that goes on with it, and no vault is made."""
    monkeypatch.setenv("TOPROPE_VAULT", str(tmp_path / "vault"))
    ledger = SqliteLedger(_made(tmp_path / "run") / "ledger.db", create=True)
    ledger.append(RunSpec("r1", COIN, External(), experiments=3))
    ledger.close()
    complaint(cli.run("resume", tmp_path / "run"), f"`toprope mcp {COIN} --run {tmp_path / 'run'}`")
    assert not (tmp_path / "vault").exists()


def _made(directory: Path) -> Path:
    directory.mkdir()
    return directory


def test_any_name_is_a_good_name_for_a_run(cli, finished, tmp_path, monkeypatch):
    """Signs that mean something in a URI, to a shell or to a markup language mean nothing in a directory's name."""
    run = tmp_path / "50%?mode=ro#[red]<b>"
    copy_of(finished, tmp_path, monkeypatch).rename(run)
    _, first = finished
    assert cli.json("resume", run, "--report")["run"] == str(run)
    assert not [p for p in tmp_path.iterdir() if p.name.startswith("50") and p != run]
    assert len(cli.export(run)["experiments"]) == first["experiments"]
    (tmp_path / "new?").mkdir()
    SqliteLedger(tmp_path / "new?" / "ledger.db", create=True).close()
    assert (tmp_path / "new?" / "ledger.db").stat().st_size > 0


def test_an_opened_test_stays_as_it_is(cli, finished, tmp_path, monkeypatch):
    """Unsealing again or resuming gives the same result, counts nothing, and writes nothing."""
    run = copy_of(finished, tmp_path, monkeypatch)
    _, first = finished
    for command in (["unseal", run], ["resume", run, "--unseal"]):
        again = cli.json(*command)
        again["cost"]["sitting"] = first["cost"]["sitting"]  # this sitting's own clock
        assert again == {**first, "run": str(run), "report": str(run / "report.html")}
    with sqlite3.connect(run.parent / "vault" / "sealed.db") as db:
        assert db.execute("SELECT count(*), max(opening) FROM openings").fetchone() == (1, 1)
    db.close()


@pytest.mark.slow
def test_a_test_opened_by_a_process_that_died_is_opened_again_for_the_same(cli, finished, tmp_path, monkeypatch):
    """Killed after committing, with the opening counted and not heard: the same candidate, number and result."""
    run = copy_of(finished, tmp_path, monkeypatch)
    _, first = finished
    with sqlite3.connect(run / "ledger.db") as db:
        db.execute("DELETE FROM entries WHERE kind = 'test'")
    db.close()
    for command in ("resume", "unseal"):  # nobody gets a protected record by climbing unprotected afterwards
        complaint(cli.run(command, run, "--i-trust-the-candidates"), "without --i-trust-the-candidates")
    again = cli.json("resume", run, "--workers", 1)  # a run that has committed climbs no further
    assert again["test"] is None
    assert again["experiments"] == first["experiments"]
    again = cli.json("unseal", run, "--workers", 1)
    assert again["test"] == first["test"]
    assert again["champion"] == first["champion"]


@pytest.mark.parametrize("end", [pytest.param(signal.SIGINT, marks=pytest.mark.slow), signal.SIGTERM])
def test_interrupted_and_resumed(cli, tmp_path, end):
    """Ctrl-C and SIGTERM end with 130 and one line with the command that goes on; its run equals one left alone."""
    options = ["--experiments", 100, "--seed", 2, "--rehearsal-secret", "s", "--workers", 1]
    process = cli.start("climb", COIN, *options, "--run", tmp_path / "a")
    ledger = tmp_path / "a" / "ledger.db"
    while not (ledger.exists() and _blocks(ledger) > 3):
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(end)
    out, err = process.communicate()
    assert process.returncode == 130
    assert out == ""
    assert "Traceback" not in err
    _, command, _ = err.splitlines()[-1].split("`")
    assert cli.json(*shlex.split(command)[1:], "--workers", 1)["experiments"] == 100
    if end == signal.SIGINT:
        assert cli.run("climb", COIN, *options, "--run", tmp_path / "b").returncode == 0
        assert cli.export(tmp_path / "a") == cli.export(tmp_path / "b")


def _blocks(path: Path) -> int:
    try:
        return sum(e.kind == "block" for e in read_entries(path.parent))
    except Exception:  # not made yet
        return 0


@pytest.mark.slow
def test_unseal_stops_an_unfinished_climb(cli, tmp_path):
    """Opening the test ends the run where it stands, and a later resume climbs no further."""
    process = cli.start("climb", COIN, "--minutes", 60, "--workers", 1, "--run", tmp_path / "run")
    ledger = tmp_path / "run" / "ledger.db"
    while not (ledger.exists() and _blocks(ledger) > 10):
        assert process.poll() is None
        time.sleep(0.02)
    process.kill()
    process.communicate()
    opened = cli.json("unseal", tmp_path / "run", "--workers", 1)
    assert opened["test"]["openings"] == 1
    again = cli.json("resume", tmp_path / "run")
    del again["cost"]["sitting"], opened["cost"]["sitting"]  # two sittings, two times
    assert again == opened


# ---------------------------------------------------------------- what programs read


def fields(value: object, names: str) -> None:
    assert isinstance(value, dict)
    missing = set(names.split()) - set(value)
    assert not missing, missing


def test_the_json_of_a_climb(finished):
    """Exactly the contract's fields or more, with an interval that holds its value."""
    _, result = finished
    fields(result, "run task climber seed certifying experiments attempts promotions champion baselines test")
    fields(result, "incidents protection cost")
    fields(result["champion"], "candidate dev measured")
    fields(result["test"], "value lo hi draws openings")
    fields(result["incidents"], "certain advisory")
    fields(result["protection"], "tier")
    fields(result["cost"], "wall_s cpu_s")
    assert result["test"]["lo"] <= result["test"]["value"] <= result["test"]["hi"]
    assert result["certifying"] is True
    assert result["promotions"] == (result["champion"]["measured"] is not None)
    assert set(result["baselines"]) == {"another face"}


def test_the_json_of_the_others(cli, finished, tmp_path):
    """tasks, submit, report and doctor print one JSON value on stdout and nothing else."""
    base, _ = finished
    listed = cli.json("tasks")
    assert len(listed) >= 3
    for row in listed:
        fields(row, "id family area title metric climbable_without_model")
    assert not any(row["family"] == "testing" for row in listed)
    result = cli.json("submit", COIN, write(tmp_path / "candidate", solution_py=GOOD))
    fields(result, "candidate outcome dev incidents verdict protection cost")
    fields(result["dev"], "value se draws")
    assert (result["outcome"], result["verdict"], result["incidents"]) == ("ok", "clean", [])
    page = tmp_path / "page.html"
    assert cli.json("report", base / "run", "-o", page) == str(page)
    assert page.read_text().startswith("<!doctype html>")
    machine = cli.json("doctor")
    assert machine["tier"] == cells.best()
    assert list(machine["tiers"]) == ["linux-full", "linux-landlock"]
    for layer in machine["layers"].values():
        fields(layer, "ok detail remedy")


def test_results_can_be_piped(cli, finished, tmp_path):
    """What a command was asked for goes to stdout, and nothing else does; progress goes to stderr."""
    base, _ = finished
    for command in (["tasks"], ["report", base / "run", "-o", tmp_path / "r"], ["show", base / "run"], ["ls", base]):
        done = cli.run(*command)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout
    done = cli.run("climb", COIN, "--experiments", 5, "--workers", 1, "--run", tmp_path / "run")
    assert "protection:" in done.stderr
    assert done.stdout.startswith("\nsealed test   not opened")


def test_help_is_quick_and_complete(cli):
    """Every command of the contract is listed and explains itself."""
    listed = cli.run("--help").stdout
    for command in (
        "tasks",
        "climb",
        "resume",
        "unseal",
        "verify",
        "referee",
        "submit",
        "report",
        "duel",
        "extract",
        "reference",
        "export",
        "doctor",
        "vault",
    ):
        assert command in listed
        assert cli.run(command, "--help").returncode == 0
    assert cli.run("--version").stdout.startswith("toprope")


# ---------------------------------------------------------------- protection


def test_trust_is_marked_everywhere(cli, tmp_path):
    """Without a sandbox every result says so, and certifies nothing."""
    run = tmp_path / "run"
    trusting = ["--i-trust-the-candidates", "--workers", 1]
    result = cli.json("climb", COIN, "--experiments", 2, "--run", run, *trusting, "--report")
    assert (result["certifying"], result["protection"]["tier"], result["protection"]["protected"]) == (
        False, "none", False,
    )  # fmt: skip
    assert "Unprotected" in (run / "report.html").read_text()
    assert "protection: NONE" in cli.run("resume", run, *trusting).stderr
    candidate = write(tmp_path / "candidate", solution_py=GOOD)
    assert cli.json("submit", COIN, candidate, "--i-trust-the-candidates")["protection"]["tier"] == "none"


def test_no_tier_means_exit_3_and_the_remedy(tmp_path):
    """Where the kernel has no Landlock nothing runs, nothing is made, and the line says what to mend."""
    for arguments in (["climb", COIN, "--run", str(tmp_path / "run")], ["submit", COIN, str(tmp_path / "c")]):
        write(tmp_path / "c", solution_py=GOOD)
        command = [sys.executable, "-c", NO_LANDLOCK, sys.executable, "-m", "toprope.cli", *arguments]
        done = subprocess.run(command, capture_output=True, text=True)
        complaint(done, "Landlock is not available", "Remedy", code=3)
        assert not (tmp_path / "run").exists()
    doctor = [sys.executable, "-c", NO_LANDLOCK, sys.executable, "-m", "toprope.cli", "doctor", "--json"]
    done = subprocess.run(doctor, capture_output=True, text=True)
    assert done.returncode == 3
    assert json.loads(done.stdout)["tier"] == "none"
    assert "Landlock" in json.dumps(json.loads(done.stdout)["layers"])
