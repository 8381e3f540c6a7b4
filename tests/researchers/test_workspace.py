"""A researcher's room: what it can do, what it cannot see, and that it is a sandbox for any Inspect agent."""

import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from toprope.errors import UsageError
from toprope.researchers.workspace import Workspace

pytestmark = pytest.mark.e2e


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path / "room")


def out(workspace, command, **options):
    done = workspace.run(["bash", "-c", command], **options)
    return (done.stdout + done.stderr).decode("utf-8", "replace")


def test_one_can_work_in_it(workspace):
    """A shell, Python with numpy, files that stay from one command to the next."""
    assert "2.0" in out(workspace, "python3 -c 'import numpy as np; print(np.ones(2).sum())' > a; cat a")
    workspace.write("b/c.txt", b"text")
    assert out(workspace, "cat b/c.txt; pwd") == "text/workspace\n"
    out(workspace, "echo more >> b/c.txt")
    assert workspace.read("/workspace/b/c.txt") == b"textmore\n"


def test_nothing_of_the_machine_is_seen(workspace, tmp_path):
    """No home, vault, checkout, toprope, other process, network, capability, user namespace."""
    secret = tmp_path / "vault"
    secret.mkdir(exist_ok=True)
    (secret / "gold").write_text("the gold")
    assert "the gold" not in out(workspace, f"cat {secret}/gold; find / -name gold 2>/dev/null | xargs cat")
    assert "ModuleNotFoundError" in out(workspace, "python3 -c 'import toprope'")
    assert "toprope" not in out(workspace, "find / -path /proc -prune -o -name 'toprope*' -print 2>/dev/null")
    assert int(out(workspace, "ls -d /proc/[0-9]* | wc -l")) < 12
    assert "000000000000000" in out(workspace, "grep CapEff /proc/self/status")
    assert "TOPROPE" not in out(workspace, "env; cat /proc/1/environ")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        said = out(workspace, f"python3 -c \"import socket; socket.create_connection(('127.0.0.1', {port}))\"")
        assert "Error" in said
    if shutil.which("unshare"):
        assert out(workspace, "unshare -U true && echo made").find("made") == -1


def test_what_is_bound_cannot_be_changed(workspace):
    """/usr is read-only; as root the worker is a stranger."""
    assert "made" not in out(workspace, "for d in /usr / /opt /etc /dev; do touch $d/x && echo made; done")
    assert out(workspace, "id -u").strip() != "0"


def test_no_path_leads_out(workspace):
    """Absolute paths, dots and links are refused for reading and writing, and nothing outside is touched."""
    outside = workspace.folder.parent / "outside"
    outside.write_text("mine")
    out(workspace, "ln -s .. up; ln -s ../outside link; mkdir d; ln -s / d/root")
    for name in ("../outside", "/etc/passwd", "up/outside", "link", "d/root/etc/passwd", "/workspace/../outside", "\0"):
        with pytest.raises(UsageError):
            workspace.read(name)
        with pytest.raises(UsageError):
            workspace.write(name, b"forged")
    assert outside.read_text() == "mine"


def test_limits_hold(workspace):
    """A command is stopped with all it started; what it says is cut; memory and file sizes have ends."""
    done = workspace.run(["bash", "-c", "(sleep 60; touch late) & sleep 60"], timeout_s=0.7)
    assert (done.timed_out, done.code) == (True, -1)
    flood = workspace.run(["bash", "-c", "yes | head -c 3000000"], output_max=1000)
    assert (flood.cut, len(flood.stdout)) == (True, 1000)
    assert "MemoryError" in out(workspace, "python3 -c 'bytearray(1 << 34)'")
    assert workspace.run(["bash", "-c", "head -c 700M /dev/zero > big"]).code != 0


@pytest.mark.slow
def test_any_inspect_agent_runs_in_it(tmp_path):
    """`sandbox="toprope"` is found by its entry point; an agent's bash works there, a scorer reads what it wrote."""
    script = Path(__file__).with_name("agent_in_room.py")  # a process of its own: Inspect leaves streams unclosed
    done = subprocess.run([sys.executable, script, tmp_path], capture_output=True, text=True, timeout=200, check=False)
    status, accuracy = done.stdout.split()[-2:]
    assert (status, float(accuracy)) == ("success", 1.0), done.stdout + done.stderr
