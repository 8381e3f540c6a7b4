"""The button that stops a climb ends the process that holds the run, and no other."""

import subprocess
import sys
import time

import pytest
from asking import Client

from toprope.serve.app import make
from toprope.serve.pages import stop
from toprope.serve.shelf import Shelf

pytestmark = pytest.mark.e2e


def until(what, within_s=60):
    end = time.monotonic() + within_s
    while not (found := what()):
        assert time.monotonic() < end
        time.sleep(0.05)
    return found


def test_a_climb_is_stopped_and_can_be_resumed(cli, tmp_path):
    """From its page, as Ctrl-C in its terminal would: exit 130, and the ledger is whole."""
    run = tmp_path / "runs" / "live"
    climb = cli.start("climb", "testing/coin-v1", "--minutes", 5, "--workers", 1, "--run", run)
    shelf = None
    try:
        until(lambda: (run / "ledger.db").is_file() and stop.holder(run) == climb.pid)
        shelf = Shelf(tmp_path / "runs")
        client = Client(make(shelf)).enter()
        html = until(lambda: (r := client.get("/runs/live")).status == 200 and "Stop this climb" in r.text and r.text)
        assert "climbing" in html
        assert client.post("/runs/live/stop", b"form=wrong").status == 403
        assert climb.poll() is None
        reply = client.post("/runs/live/stop", f"form={client.guard.form}".encode())
        assert (reply.status, reply.headers["location"]) == (303, "/runs/live?told=stop")
        _, said = climb.communicate(timeout=60)
        assert climb.returncode == 130, said
        assert "toprope resume" in said
        assert stop.holder(run) is None
        assert "Stop this climb" not in client.get("/runs/live").text
    finally:
        climb.kill()
        if shelf is not None:
            shelf.close()


HOLD = """
import fcntl, sys, time
lock = open(sys.argv[-1], "a")
fcntl.flock(lock, fcntl.LOCK_EX)
print("held", flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("words", [[], ["toprope", "show"], ["climb"], ["not-toprope", "climb"]])
def test_another_program_that_holds_the_lock_is_left_alone(tmp_path, words):
    """A notebook that climbs, or anything else: a signal could end it without saving what it does."""
    lock = tmp_path / "lock"
    program = subprocess.Popen([sys.executable, "-c", HOLD, *words, str(lock)], stdout=subprocess.PIPE, text=True)
    try:
        assert program.stdout.readline() == "held\n"
        assert stop.holder(tmp_path) is None
        assert not stop.end(tmp_path, program.pid)
        assert program.poll() is None
    finally:
        program.kill()
        program.communicate()


def test_a_process_that_does_not_hold_the_run_is_left_alone(tmp_path):
    """The number of a process may be used again; what counts is who holds the lock now."""
    (tmp_path / "lock").touch()
    program = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", "toprope", "climb"])
    try:
        assert not stop.end(tmp_path, program.pid)
        assert not stop.end(tmp_path, 2**22 + 1)
        assert program.poll() is None
    finally:
        program.kill()
        program.wait()
