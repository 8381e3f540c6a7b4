"""Root and an ordinary user, with everything, without bubblewrap or user namespaces: which tier, and what is said.

Each condition is made for real, by a first process that takes the thing away from itself and then execs toprope.
"""

import json
import os
import subprocess
import sys

import cells
import pytest

from toprope.sandbox import namespaces
from toprope.sandbox.box import TIERS

pytestmark = pytest.mark.e2e

COIN = "testing/coin-v1"
GOOD = "def answer(nonce, *, params):\n    return [1.0, 0.05, nonce[0]]\n"
LESS = (
    f"PLACES = {namespaces.PLACES}"
    """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
NEWNS, NEWUSER, PRIVATE, BIND = 0x20000, 0x10000000, 0x44000, 0x1000
def must(result):
    if result:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
uid, gid = os.geteuid(), os.getegid()
def write(path, text):
    with open(path, "w") as f:
        f.write(text)
def own_users():
    if libc.unshare(NEWUSER):
        os._exit(77)  # the machine forbids it to begin with
    write("/proc/self/setgroups", "deny")
    write("/proc/self/uid_map", f"{uid} {uid} 1")
    write("/proc/self/gid_map", f"{gid} {gid} 1")
def without_bubblewrap():
    own_users() if uid else None
    must(libc.unshare(NEWNS))
    must(libc.mount(b"none", b"/", None, PRIVATE, None))
    for place in PLACES:
        if os.path.exists(place):  # hidden behind something that nobody can run
            must(libc.mount(b"/dev/null", place.encode(), None, BIND, None))
def without_user_namespaces():
    own_users()
    write("/proc/sys/user/max_user_namespaces", "0")
def with_everything():
    pass
globals()[sys.argv[1]]()
os.execv(sys.argv[2], sys.argv[2:])
"""
)
WHO = ["user", *(["root"] if os.geteuid() == 0 or cells.ALL else [])]


@pytest.fixture
def run(as_user, packages):
    """toprope as one of the two, after one of the functions of LESS."""

    def start(who: str, less: str, *args: object) -> subprocess.CompletedProcess[str]:
        assert who == "user" or os.geteuid() == 0, "the cells of root need root"
        if who == "user":
            done = as_user(*args, before=["-c", LESS, less])
        else:
            command = [sys.executable, "-c", LESS, less, sys.executable, "-m", "toprope.cli", *map(str, args)]
            done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode == 77:
            assert not cells.ALL, f"a user cannot be put {less} here: no user namespaces"
            pytest.skip("no user namespaces to make this condition in")
        return done

    return start


@pytest.mark.parametrize(
    ("less", "who"),
    [
        pytest.param(less, who, marks=[pytest.mark.slow] if who == "root" and less == "without_bubblewrap" else [])
        for less in ("with_everything", "without_bubblewrap", "without_user_namespaces")
        for who in WHO
    ],
)
def test_the_best_tier_that_holds_and_why_not_a_better_one(run, who, less):
    """linux-full wherever its pieces are; else linux-landlock, and doctor names the missing piece and its remedy."""
    done = run(who, less, "doctor", "--json")
    assert done.stdout, done.stderr
    said = json.loads(done.stdout)
    missing = None
    if less == "without_bubblewrap" or (namespaces.installed() is None and not cells.ALL):
        missing = "bubblewrap"
    elif (who == "user" and less == "without_user_namespaces") or not cells.full():  # root's need no user namespace
        missing = "user"
    assert said["tier"] == ("linux-landlock" if missing else "linux-full"), said["tiers"]["linux-full"]
    assert said["tiers"]["linux-landlock"]["ok"]
    assert said["layers"] == said["tiers"][said["tier"]]["layers"]
    start = said["tiers"]["linux-full"]["layers"]["start"]
    assert start["ok"] == (missing is None)
    if missing == "bubblewrap":
        assert "bubblewrap is not installed" in start["detail"]
        assert "apt install bubblewrap" in start["remedy"]
    if missing == "user":
        assert "bwrap:" in start["detail"]
        assert "max_user_namespaces" in start["remedy"]
        assert "AppArmor profile" in start["remedy"]


HOLES = """
import json
from toprope.sandbox import namespaces, selftest
whole, fallen = namespaces.arguments, {}
for forgotten in (["--disable-userns"], ["--remount-ro", "/"]):
    def less(*given):
        words = whole(*given)
        at = max(i for i, word in enumerate(words) if word == forgotten[0])
        return words[:at] + words[at + len(forgotten):]
    namespaces.arguments = less
    found = selftest._face("linux-full", selftest.NAMESPACES, frozenset({"landlock", "seccomp"}))
    fallen[forgotten[0]] = [name for name, finding in found.items() if not finding.ok]
print(json.dumps(fallen))
"""


@pytest.mark.skipif(not cells.full(), reason="no linux-full here to make holes in")
def test_holes_that_only_an_ordinary_user_meets(as_user):
    """An ordinary user's child owns its root directory and user namespace: what closes them is missed by a canary."""
    done = as_user(before=["-c", HOLES])
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"--disable-userns": ["user namespaces"], "--remount-ro": ["mounts"]}


@pytest.mark.parametrize("who", WHO)
@pytest.mark.parametrize("tier", ["linux-full", "linux-landlock"])
def test_a_candidate_under_each_tier(run, who, tier, home):
    """Both run a candidate with either tier when asked to; the record tells tier, namespaces and identity."""
    candidate = home / "candidate"
    candidate.mkdir(exist_ok=True)
    (candidate / "solution.py").write_text(GOOD)
    done = run(who, "with_everything", "submit", COIN, candidate, "--tier", tier, "--json")
    if tier == "linux-full" and not cells.full():
        assert done.returncode == 3
        assert "sandbox tier linux-full does not hold here: start: " in done.stderr
        assert "Remedy: " in done.stderr
        return
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    protection = result["protection"]
    assert (result["outcome"], protection["tier"], protection["protected"]) == ("ok", tier, True)
    assert ("mnt" in protection["namespaces"], "instead" in protection) == (tier == "linux-full", False)
    assert ("user" in protection["namespaces"]) == (tier == "linux-full" and who == "user")
    if who == "user":
        assert protection["identity"] == "uid kept, ordinary user"
        assert protection["uid"] == (cells.NOBODY if os.geteuid() == 0 else os.geteuid())
    elif tier == "linux-full":
        assert protection["identity"] == "uid dropped"
        assert protection["uid"] not in (0, cells.NOBODY)


def test_a_lesser_tier_says_why(run, home):
    """What is scored without bubblewrap says in its record and on the terminal why it was not linux-full."""
    candidate = home / "candidate"
    candidate.mkdir(exist_ok=True)
    (candidate / "solution.py").write_text(GOOD)
    done = run("user", "without_bubblewrap", "submit", COIN, candidate)
    assert done.returncode == 0, done.stderr
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("protection: "))
    assert line.startswith("protection: linux-landlock")
    assert "linux-full does not hold here: start: bubblewrap is not installed" in line
    assert "apt install bubblewrap" in line


@pytest.mark.slow
def test_a_run_stays_under_its_tier(run, home):
    """What was begun under a tier goes on under that tier, also where a better one holds."""
    who, options = WHO[-1], ("--experiments", 2, "--workers", 1, "--rehearsal-secret", "x", "--json")
    begun = run(who, "with_everything", "climb", COIN, *options, "--run", home / "home" / "one", "--tier", TIERS[1])
    assert begun.returncode == 0, begun.stderr
    resumed = run(who, "with_everything", "resume", home / "home" / "one", "--json")
    assert (
        json.loads(resumed.stdout)["protection"]["tier"] == json.loads(begun.stdout)["protection"]["tier"] == TIERS[1]
    )


@pytest.mark.slow
@pytest.mark.skipif(not cells.full(), reason="no run can begin under linux-full here")
def test_a_run_is_not_continued_under_less(run, home):
    """A run of linux-full cannot go on where bubblewrap is gone, and the line says what to mend."""
    who, options = WHO[-1], ("--experiments", 2, "--workers", 1, "--rehearsal-secret", "x", "--json")
    begun = run(who, "with_everything", "climb", COIN, *options, "--run", home / "home" / "two")
    assert json.loads(begun.stdout)["protection"]["tier"] == TIERS[0]
    refused = run(who, "without_bubblewrap", "resume", home / "home" / "two")
    assert refused.returncode == 3
    (line,) = refused.stderr.splitlines()
    assert "linux-full does not hold here" in line
    assert "apt install bubblewrap" in line


def test_a_tier_and_trust_contradict_each_other(cli, tmp_path):
    """Asking for a tier and for none at once is a mistake, said before anything is made."""
    for command in (["climb", COIN, "--run", tmp_path / "run"], ["submit", COIN, tmp_path]):
        done = cli.run(*command, "--tier", "linux-landlock", "--i-trust-the-candidates")
        assert done.returncode == 2
        assert "contradict" in done.stderr
    assert not (tmp_path / "run").exists()
