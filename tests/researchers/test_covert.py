"""What a room can hear of hidden work through what both share: files in the kernel's cache, and the machine's time.

The attack is real: the room throws pages of the standard library out of memory, a candidate on a hidden draw reads
file i to send bit i, and the room looks which pages are there again. It is alive where children read the originals.
"""

import json
import os
import sysconfig
import threading
import time
from pathlib import Path

import cells
import pytest

from toprope.journal.spec import External, RunSpec
from toprope.referee.client import HubClient
from toprope.referee.messages import HubConfig
from toprope.researchers import frozen
from toprope.researchers.tools import Toolbox
from toprope.researchers.workspace import Workspace
from toprope.run.accounts import Quota
from toprope.run.session import Session
from toprope.sandbox.box import Case, Job, Sandbox
from toprope.sandbox.memory import PublicMemory
from toprope.sandbox.selftest import Choice
from toprope.space import Space
from toprope.tasks import registry
from toprope.types import Candidate, Limits, Tree

pytestmark = pytest.mark.e2e

BITS = 128
TRIES = 5  # a neighbour that reads the same files in one of them is noise
SILENT = 2  # tries in which a closed channel is not heard at all
COIN = "testing/coin-v1"
TIERS = ["linux-landlock", *(["linux-full"] if cells.full() else [])]
LOOK = """
import json, os, sys, time
files, found = json.load(open("files.json")), []
for repeat in range(3 if sys.argv[1] == "evict" else 1):
    for number, name in enumerate(files):
        fd = os.open(name, os.O_RDONLY)
        try:
            if sys.argv[1] == "evict":
                os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            elif os.preadv(fd, [bytearray(1)], 0, os.RWF_NOWAIT):  # a miss begins to read the page: one look is all
                found.append(number)
        except BlockingIOError:
            pass
        os.close(fd)
    time.sleep(0.1)
print(json.dumps(found))
"""
SENDS = f"""
import hashlib, os
import numpy as np

HERE = os.path.dirname(os.__file__)
FILES = [os.path.join(HERE, name) for name in $FILES]

def answer(nonce, *, params):
    bits = int.from_bytes(hashlib.sha256(nonce.tobytes()).digest()[:{BITS // 8}], "big")
    for i, name in enumerate(FILES):
        if bits >> i & 1:
            with open(name, "rb") as f:
                f.read(1)
    return np.array([params["face"], params["skill"], nonce[0]])
"""


def message(nonce) -> set[int]:
    import hashlib

    bits = int.from_bytes(hashlib.sha256(nonce.tobytes()).digest()[: BITS // 8], "big")
    return {i for i in range(BITS) if bits >> i & 1}


@pytest.fixture(scope="module")
def files() -> list[str]:
    """Modules that nobody loads meanwhile."""
    folder = Path(sysconfig.get_path("stdlib"))
    rare = ("lib2to3", "tkinter", "turtledemo", "distutils", "wsgiref", "curses", "dbm", "msilib", "pydoc_data")
    found = [str(p) for name in rare for p in sorted((folder / name).rglob("*.py")) if p.stat().st_size > 1000]
    found = [name for name in found if "/test" not in name]
    assert len(found) >= BITS
    Sandbox(Limits(), private=True).close()  # making the copies reads the originals: not while somebody listens
    return found[:BITS]


@pytest.fixture
def workspace(tmp_path, files) -> Workspace:
    made = Workspace(tmp_path / "room")
    made.write("files.json", json.dumps(files).encode())
    made.write("look.py", LOOK.encode())
    return made


def hears(workspace: Workspace, what: str = "look") -> set[int]:
    done = workspace.run(["python3", "look.py", what])
    assert done.code == 0, done.stderr
    return set(json.loads(done.stdout))


def candidate(files: list[str]) -> Candidate:
    source = SENDS.replace("$FILES", repr([os.path.relpath(name, sysconfig.get_path("stdlib")) for name in files]))
    return Candidate(Tree({"solution.py": source.encode()}), {"face": 1, "skill": 0.0})


@pytest.mark.parametrize("tier", TIERS)
def test_pages_of_files_are_not_shared_with_hidden_work(workspace, files, tier):
    """A workspace hears nothing of what a child with copies of its own read, and every bit of one that has none.

    Other processes of this machine read the same files now and then. A channel is open if one try tells the bits that
    are set from those that are not. It is closed if no try does and two of them hear nothing at all.
    """

    def told(private: bool) -> tuple[set[int], set[int]]:
        with Sandbox(Limits(), tier=tier, private=private) as box:
            hears(workspace, "evict")
            job = Job(sent.tree.files, Space([]), b"", task.spec.entries)
            job = job._replace(space=task.space, rows=task.space.default()[None, :])
            with PublicMemory.of(draw.public) as public:
                case = Case(public, 1, lambda entries: task.dialogue(draw, entries))
                assert box.run(job, [case], lambda *_: None).outcomes == ["ok"]
            return hears(workspace), message(draw.public["nonce"])

    def open_(heard: set[int], sent: set[int]) -> bool:
        return sent <= heard and len(heard - sent) < (BITS - len(sent)) / 2

    task, sent = registry.load(COIN), candidate(files)
    draw = task.generate("val", 0, 7)
    assert any(open_(*told(private=False)) for _ in range(TRIES))
    tries: list[tuple[set[int], set[int]]] = []
    while len(tries) < TRIES and sum(not heard for heard, _ in tries) < SILENT:
        tries.append(told(private=True))
    assert sum(not heard for heard, _ in tries) == SILENT
    assert not any(open_(*one) for one in tries)


def test_nothing_is_heard_of_an_attempt(workspace, files, tmp_path):
    """The real hub, one official attempt of a candidate that sends on every draw: no page of any file is touched."""
    heard = []
    for attempt in range(TRIES):
        hub = HubClient(HubConfig("r", COIN, cells.best(), 1, str(tmp_path / f"vault{attempt}"), "secret"))
        hub.wait_ready()
        hears(workspace, "evict")
        hub.submit(candidate(files), 2)
        assert not hub.answer().promoted
        heard.append(hears(workspace))
        hub.close()
        if not heard[-1]:
            break
    assert not heard[-1], [len(h) for h in heard]


@pytest.mark.slow
def test_a_room_that_stands_still_does_nothing(workspace):
    """Not one step of a running program is taken, no command begins, and the time is not the command's."""
    code = "import time\nwhile True:\n    print(time.time(), flush=True)\n    time.sleep(0.01)\n"
    workspace.write("clock.py", code.encode())
    ran = []
    worker = threading.Thread(target=lambda: ran.append(workspace.run(["python3", "clock.py"], timeout_s=2)))
    worker.start()
    time.sleep(1)
    with workspace.still():
        began, number = time.time(), workspace._first
        assert all(p.state in frozen.STILL for p in frozen.below(number))
        time.sleep(2.5)
        ended = time.time()
    worker.join()
    ticks = [float(line) for line in ran[0].stdout.splitlines()]
    assert len([t for t in ticks if t < began]) > 3
    assert [t for t in ticks if began < t < ended] == []
    assert [t for t in ticks if t > ended] != []  # its two seconds were not over
    assert ran[0].timed_out


def test_a_room_that_forks_without_end_is_stopped_too(workspace):
    """Processes that make processes are found, or ended with their command."""
    storm = "for i in 1 2 3 4; do (while :; do /bin/true & done) & done; sleep 60"
    worker = threading.Thread(target=lambda: workspace.run(["bash", "-c", storm], timeout_s=2))
    worker.start()
    while not workspace._first:
        time.sleep(0.05)
    time.sleep(0.5)
    with workspace.still():
        first = workspace._first
        for _ in range(20):
            assert all(p.state in frozen.STILL for p in frozen.below(first))
            time.sleep(0.01)
    worker.join()


def test_a_command_waits_while_its_room_stands_still(workspace):
    """It begins when the room goes on."""
    done = []
    with workspace.still():
        worker = threading.Thread(target=lambda: done.append(workspace.run(["true"])))
        worker.start()
        time.sleep(0.5)
        assert not done
        assert workspace.still_s > 0.4
    worker.join()
    assert done[0].code == 0


def test_a_room_sees_no_count_of_the_machine(workspace):
    """Load, memory, interrupts, CPU time of everybody: nothing in /proc but the room's own processes."""
    names = [p.name for p in Path("/proc").iterdir() if not p.name.isdigit() and not p.is_symlink()]
    kept = {"filesystems", "version"}
    code = f"""
import os
for name in {sorted(set(names) - kept)!r}:
    path = "/proc/" + name
    held = os.listdir(path) if os.path.isdir(path) else open(path, "rb").read(1)
    if held: print(name, held)
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
if libc.sysinfo(ctypes.create_string_buffer(256)) == 0: print("sysinfo answers")
"""
    workspace.write("counts.py", code.encode())
    done = workspace.run(["python3", "counts.py"])
    assert (done.stdout, done.stderr, done.code) == (b"", b"", 0)
    assert os.path.exists("/proc/loadavg")


SLOW = """
import time
import numpy as np

def answer(nonce, *, params):
    time.sleep(0.008)
    return np.array([params["face"], params["skill"], nonce[0]])
"""


class Silent:
    """Watches nothing."""

    def __getattr__(self, name):
        return lambda *_: None


def test_nothing_of_the_authors_runs_while_the_gate_works(workspace, tmp_path):
    """From the moment a candidate is sent until the answer: no step in a room, no experiment of anybody's; and the
    author is told how long the room stood still."""
    ask = RunSpec("cd" * 8, COIN, External(), seed=3, experiments=50)
    workspace.write("clock.py", b"import time\nwhile True:\n    print(time.time(), flush=True)\n    time.sleep(0.01)\n")
    with Session(tmp_path / "run", ask, lambda _: Choice(cells.best()), 1, Silent()) as session:
        submissions = session.submissions(Quota(experiments=20, attempts=4, min_experiments_between=1))
        submissions.workspaces.append(workspace.still)
        box = Toolbox(submissions, "ada", workspace, tmp_path / "calls.jsonl")
        hub, seen = session._hub, {}
        submit, answer = hub.submit, hub.answer

        def sent(*given):
            seen["sent"] = time.time()
            submit(*given)

        def heard():
            try:
                return answer()
            finally:
                seen["heard"] = time.time()

        hub.submit, hub.answer = sent, heard
        slow = submissions.evaluate(Candidate(Tree({"solution.py": SLOW.encode()}), {"face": 1, "skill": 0.01}), "ada")
        said, other = [], []
        threads = [threading.Thread(target=lambda: said.append(box.run("python3 clock.py", 3)))]
        threads[0].start()
        time.sleep(1)
        future = submissions.send(slow.id, "ada")
        while "sent" not in seen:
            time.sleep(0.01)
        quick = Candidate(Tree({"solution.py": SLOW.replace("0.008", "0.0").encode()}), {"face": 2, "skill": 0.0})
        threads.append(threading.Thread(target=lambda: other.append((submissions.evaluate(quick, "bob"), time.time()))))
        threads[1].start()
        future.result()
        for thread in threads:
            thread.join()
    ticks = [float(line) for line in said[0].splitlines() if line[:1].isdigit()]
    assert [t for t in ticks if seen["sent"] < t < seen["heard"]] == []
    assert [t for t in ticks if t < seen["sent"]]
    assert [t for t in ticks if t > seen["heard"]]
    assert "your workspace was paused for" in said[0]
    assert other[0][1] > seen["heard"]
