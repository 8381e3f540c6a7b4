"""Everything works for a user who is nobody: where tests run as root, a climb is run as one."""

import json
import os
import shutil
import signal
import stat
import subprocess
import sys

import cells
import pytest
from cells import NOBODY

pytestmark = pytest.mark.e2e

COIN = "testing/coin-v1"


def test_a_climb_end_to_end(as_user, home):
    """Climb, sealed test, report and a second run, all as nobody; the protection record says whose uid it was."""
    done = as_user("climb", COIN, "--experiments", 10, "--workers", 1, "--run", "run", "--unseal", "--report", "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["protection"]["tier"] == cells.best()
    assert result["protection"]["identity"] == "uid kept, ordinary user"
    assert result["protection"]["uid"] == (NOBODY if os.geteuid() == 0 else os.geteuid())
    assert (result["protection"]["protected"], result["certifying"]) == (True, True)
    assert result["test"]["openings"] == 1
    vault = home / "home" / ".local" / "share" / "toprope" / "vault" / "sealed.db"
    assert stat.S_IMODE(vault.stat().st_mode) == 0o600
    assert vault.stat().st_uid == result["protection"]["uid"]
    assert "ordinary user" in (home / "home" / "run" / "report.html").read_text()
    _read_only(as_user, home)


def _read_only(as_user, home) -> None:
    """A run that is not ours can be read and not written, and that is said in one line."""
    theirs = home / "theirs"
    shutil.copytree(home / "home" / "run", theirs)
    for path in (theirs, *theirs.iterdir()):
        if os.geteuid() == 0:
            os.chown(path, 0, 0)
        path.chmod(0o555 if path.is_dir() else 0o444)
    told = as_user("export", theirs)
    assert told.returncode == 0, told.stderr
    assert told.stdout == as_user("export", "run").stdout
    for arguments in (["report", theirs], ["resume", theirs], ["climb", COIN, "--run", theirs]):
        refused = as_user(*arguments)
        assert refused.returncode == 2
        (line,) = refused.stderr.splitlines()
        assert line.startswith(f"toprope: cannot write {theirs}")
    hidden = home / "hidden"
    hidden.mkdir(mode=0o700)
    if os.geteuid() == 0:  # a directory of our own we could always look into
        for arguments in (["resume", hidden / "run"], ["climb", COIN, "--run", hidden / "run"]):
            refused = as_user(*arguments)
            assert refused.returncode == 2
            (line,) = refused.stderr.splitlines()
            assert str(hidden) in line
    theirs.chmod(0o755)


@pytest.mark.slow
def test_cheating_does_not_pay_for_an_ordinary_user_either(as_user):
    """The red team's thieves and vandals, as nobody: none pays, every twin passes."""
    done = as_user("redteam", COIN, "--only", "C1,C2,fork,limits-parent,kill-parent,early-exit", "--json")
    result = json.loads(done.stdout) if done.stdout else done.stderr
    assert done.returncode == 0, [c for c in result["cheats"] if not c["ok"]] if done.stdout else result
    assert result["protection"]["identity"] == "uid kept, ordinary user"


@pytest.fixture
def service(home):
    """A referee of ours, which the ordinary user can reach and nothing more: its vault lies open to the path."""
    vault, address = home / "vault", f"unix:{home / 'referee'}"
    command = [sys.executable, "-m", "toprope.cli", "referee", "--listen", address, "--vault", vault, "--workers", "1"]
    process = subprocess.Popen(list(map(str, command)), stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    assert process.stderr.readline().startswith("referee at")
    yield process.pid, vault, address
    process.send_signal(signal.SIGINT)
    process.communicate()


PROBE = """
import ctypes, json, os, sys
pid, vault = int(sys.argv[1]), sys.argv[2]
def fails(do):
    try:
        do()
    except OSError as e:
        return type(e).__name__
    return "it can"
def trace():
    if ctypes.CDLL(None, use_errno=True).ptrace(16, pid, 0, 0):  # PTRACE_ATTACH
        raise OSError(ctypes.get_errno(), "ptrace")
print(json.dumps({
    "read the vault": fails(lambda: open(vault + "/sealed.db", "rb")),
    "list the vault": fails(lambda: os.listdir(vault)),
    "signal": fails(lambda: os.kill(pid, 9)),
    "trace": fails(trace),
    "memory": fails(lambda: open(f"/proc/{pid}/mem", "rb")),
    "environment": fails(lambda: open(f"/proc/{pid}/environ", "rb")),
}))
"""


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="two users need root")
def test_a_referee_under_another_user(as_user, python, service):
    """The user climbs with it and opens the test, and cannot read its vault, signal it, trace it or see its memory."""
    pid, vault, address = service
    options = ["--experiments", 40, "--workers", 1, "--run", "confined", "--referee", address, "--unseal", "--json"]
    done = as_user("climb", COIN, *options)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert (result["confined"], result["certifying"], result["test"]["openings"]) == (True, True, 1)
    probe = subprocess.run(
        [str(python), "-c", PROBE, str(pid), str(vault)], user=NOBODY, group=NOBODY, extra_groups=[],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert set(json.loads(probe.stdout).values()) == {"PermissionError"}
    checked = as_user("verify", "confined", "--workers", 1, "--json")
    assert (checked.returncode, json.loads(checked.stdout)["champion_reproduced"]) == (0, True), checked.stderr
    own = as_user("climb", COIN, "--experiments", 2, "--workers", 1, "--run", "unconfined", "--json")
    assert json.loads(own.stdout)["confined"] is False
