"""Rooms whose owners are hostile: what they leave behind reaches nothing else, and ends nobody else's work."""

import os
import subprocess
import time
from pathlib import Path
from types import SimpleNamespace

import anyio
import pytest
from cells import NOBODY

from toprope.errors import UsageError
from toprope.researchers.briefing import furnish
from toprope.researchers.server import _tool
from toprope.researchers.tools import Toolbox
from toprope.researchers.workspace import Workspace
from toprope.run.desk import Quota
from toprope.run.records import Finding
from toprope.tasks import registry


@pytest.fixture
def box(tmp_path):
    """Tools at a desk that knows the task and nothing else."""
    desk = SimpleNamespace(spec=registry.load("testing/coin-v1").spec, findings=[], quota=Quota())
    room = Workspace(tmp_path / "ada" / "room")
    yield Toolbox(desk, "ada", room, tmp_path / "ada" / "calls.jsonl")
    room.run(["find", ".", "-mindepth", "1", "-delete"])  # deeper than pytest can remove


def test_parameters_are_read_from_the_room_only(box, tmp_path):
    """A params.json that is a link to a file of the host would come back with the candidate's snapshot."""
    (tmp_path / "secret.json").write_text('{"api_key": "hidden"}')
    box.run(f"mkdir c; touch c/solution.py; ln -s {tmp_path}/secret.json c/params.json")
    assert "params.json is a symbolic link" in box.evaluate("c")


@pytest.mark.parametrize("end", ["sleep 1.5", "sleep 60"])
def test_nothing_runs_on_in_a_room_that_is_read(box, end):
    """When a command has ended or was stopped, so has all it left behind: what runs on could swap folders for links."""
    box.edit(
        "busy.py",
        "import mmap, os, time\nos.setsid()\n"
        "for _ in range(99):\n"
        "    if not os.fork():\n"
        "        m = mmap.mmap(-1, 8 << 20)\n        m.write(bytes(8 << 20))\n        time.sleep(99)\n"
        "time.sleep(99)\n",
    )
    box.run(f"python3 busy.py busy >/dev/null 2>&1 </dev/null & {end}", timeout_s=2)
    assert not [p for p in Path("/proc").glob("[0-9]*/cmdline") if _said(p) == b"python3\0busy.py\0busy\0"]


def _said(path):
    try:
        return path.read_bytes()
    except OSError:
        return b""


AS_USER = """
import sys
import os
import subprocess
import time
from pathlib import Path
from toprope.researchers.workspace import Workspace
room = Workspace(Path(sys.argv[1]) / "room")
room.write("a", b"mine")
print(room.run(["bash", "-c", "cat a /proc/1/environ /proc/*/environ; ls -ld .; unshare -Ur true && echo nested"]))
print(room.run(["bash", "-c", "sleep 60 & sleep 60"], timeout_s=0.5).timed_out)
"""


def test_an_ordinary_users_room_holds_nothing_of_its_environment(home, python, packages):
    """Keys of providers stand there; without root, bubblewrap's own process is of the researcher's user."""
    root = os.geteuid() == 0
    done = subprocess.run(
        [str(python), "-s", "-c", AS_USER, str(home / "home")],
        env={"PYTHONPATH": str(packages), "HOME": str(home / "home"), "PATH": "/usr/bin:/bin", "OPENAI_API_KEY": "sk1"},
        capture_output=True,
        text=True,
        check=False,
        **({"user": NOBODY, "group": NOBODY, "extra_groups": []} if root else {}),
    )
    assert "mine" in done.stdout, done.stderr
    assert done.stdout.endswith("True\n")
    assert "sk1" not in done.stdout
    assert "nested" not in done.stdout


def test_a_setting_is_the_strangers_and_not_roots(tmp_path):
    """What an agent's framework sets for a command (a PATH into the room, say) is set once root's rights are gone."""
    room = Workspace(tmp_path / "room")
    room.write("mount", b'#!/bin/sh\nid -u > /tmp/../workspace/who\nexec /usr/bin/mount "$@"\n')
    room.run(["chmod", "+x", "mount"])
    done = room.run(["sh", "-c", "echo $PATH $A"], env={"PATH": "/workspace:/usr/bin:/bin", "A": "b=c"})
    assert done.stdout == b"/workspace:/usr/bin:/bin b=c\n"
    with pytest.raises(UsageError):
        room.read("who")


ODD = ("\0", "x" * 300, "x/" * 1500, "\ud800", "loop", "loop/x", "pipe", "d/d/d")


def test_no_name_or_command_ends_a_researcher(box):
    """What no file system or program takes is answered, in rooms with loops, pipes and folders a thousand deep."""
    deep = "import os\nfor i in range(1500):\n os.mkdir('d'); os.chdir('d')\n"
    box.edit("deep.py", deep)
    box.run("ln -s a loop; ln -s loop a; mkfifo pipe; python3 deep.py")
    for name in ODD:
        assert "not done" in box.evaluate(name)
        for said in (box.run(name), box.run(name * 500), box.edit(name, "text"), box.edit(name, old="a", new="b")):
            said.encode()
    assert box.edit("still", "works") == "still: 5 bytes"
    Workspace(box.room.folder)  # and the room can be entered again


def test_a_wrecked_room_ends_nobodys_work(box, tmp_path):
    """Where findings, notebook or the furniture were replaced, tools answer, and a new sitting begins."""
    task = registry.load("testing/coin-v1")
    box.desk.findings.append(Finding(1, "bob", "insight", "words"))
    furnish(box.room, task, 3)
    box.run("rm -r findings notebook.md baselines starter dev; ln -s /etc findings; mkdir notebook.md")
    box.run("ln -s /nowhere starter; ln -s dev dev; touch baselines; chmod 0 .")
    box.notebook("remember")
    assert box.notes() == ""
    box.sync()
    box.room = Workspace(box.room.folder)
    furnish(box.room, task, 3)
    assert not list(Path("/etc").glob("001-bob*"))
    box.run("rm -r notebook.md; ln -s /etc/passwd notebook.md")
    assert box.notes() == ""
    box.run(f"rm notebook.md; head -c {12 << 20} /dev/zero > notebook.md")
    assert box.notes() == ""
    box.run("head -c 1000000 /dev/zero | tr '\\0' x > notebook.md")
    assert len(box.notes()) <= 8000


def test_a_room_has_an_end(box):
    """Of processes and of the machine's memory as files: neither is bounded by what one process may have."""
    assert "1.0G" in box.run("df -h /tmp")
    assert "2048" in box.run("bash -c 'ulimit -u'")
    assert "made" not in box.run("touch /dev/x && echo made")


def test_one_agents_calls_take_nobody_elses_turn(box):
    """Forty sleeping commands of one agent fill every thread there is, if nobody counts whose they are."""
    slow, quick = (
        SimpleNamespace(name="ada", run=lambda: time.sleep(0.2)),
        SimpleNamespace(name="bob", run=lambda: "me"),
    )
    asks, limits = [slow], {}
    call = _tool("run", lambda: asks[0], limits)

    async def crowd():
        async with anyio.create_task_group() as group:
            for _ in range(60):
                group.start_soon(call)
            await anyio.sleep(0.05)
            asks[0], began = quick, time.monotonic()
            assert await call() == "me"
            group.cancel_scope.cancel()
            return time.monotonic() - began

    assert anyio.run(crowd) < 0.15
