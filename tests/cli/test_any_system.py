"""Commands that read work on every system; those that run candidates say in one line that they need Linux."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.e2e

ELSEWHERE = """
import os, select, signal, socket, sys
for name in ("fcntl", "resource", "termios", "tty", "pty", "pwd", "grp"):
    sys.modules[name] = None
lacking = {
    os: "sched_getaffinity memfd_create MFD_CLOEXEC MFD_ALLOW_SEALING pidfd_open eventfd fork posix_fadvise",
    socket: "AF_UNIX SCM_RIGHTS SO_PEERCRED recv_fds send_fds",
    select: "epoll poll",
    signal: "SIGKILL SIGHUP pidfd_send_signal pthread_sigmask",
}
for module, names in lacking.items():
    for name in names.split():
        if hasattr(module, name):
            delattr(module, name)
from toprope.cli import main
if sys.argv.pop(1) == "mac":
    sys.platform = "darwin"
main()
"""


def elsewhere(system, *arguments):
    command = [sys.executable, "-c", ELSEWHERE, system, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.mark.slow
def test_runs_are_read_without_what_only_unix_has(finished, cli, tmp_path):
    """tasks, ls, show, report and export print what they print here."""
    run = finished[0] / "run"
    for arguments in (["tasks"], ["ls", finished[0]], ["show", run], ["export", run], ["clean", finished[0]]):
        done = elsewhere("here", *arguments)
        assert done.returncode == 0, done.stderr
        if arguments[0] != "clean":  # sizes of caches change while other tests run
            assert done.stdout == cli.run(*arguments).stdout
    done = elsewhere("here", "report", run, "-o", tmp_path / "report.html")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "report.html").read_text() == (run / "report.html").read_text()


@pytest.mark.parametrize("arguments", [["climb", "testing/coin-v1"], ["submit", "testing/coin-v1", "."], ["doctor"]])
def test_candidates_need_linux(arguments, tmp_path):
    """Exit 3; but for doctor, which prints what it found, one line with the command of a container."""
    (tmp_path / "solution.py").touch()
    done = elsewhere("mac", *arguments[:-1], tmp_path if arguments[-1] == "." else arguments[-1])
    assert done.returncode == 3, done.stderr
    if arguments == ["doctor"]:
        assert "tier: none" in done.stdout
        return
    assert done.stderr.count("\n") == 1
    assert "on Linux only, this is darwin" in done.stderr
    assert (
        "`docker run --rm --user $(id -u):$(id -g) -v toprope:/state -v $PWD:/work toprope climb TASK`" in done.stderr
    )
