"""The program of a task runs in a process with limits: each limit has an answer that names it and harms no other."""

import json
import sys

import pytest

from toprope import wire
from toprope.errors import RunError, UsageError
from toprope.referee import program
from toprope.referee.program import Cost, ReferenceProcess
from toprope.run import public_brief
from toprope.tasks import registry
from toprope.tasks.new import new

pytestmark = pytest.mark.e2e

ASK = """

class Asked(make):
    def brief(self, dev):
        return {}

    def run_program(self, argv, stdin, files):
        import os, sys, time
        what = argv[0].decode()
        print("printed", what)
        if what == "huge":
            return b"x" * (1 << 26), b"", 0
        if what == "memory":
            return b"x" * (1 << 32), b"", 0
        while what == "loop":
            pass
        if what == "sleep":
            time.sleep(3600)
        if what == "die":
            os._exit(7)
        if what == "write":
            open("written", "wb", buffering=0).write(b"x" * 100)
        return stdin, b"err", 3


make = Asked
"""


@pytest.fixture
def task(tmp_path, monkeypatch):
    monkeypatch.delenv("TOPROPE_TASKS", raising=False)
    new(tmp_path / "asked", None)
    with (tmp_path / "asked" / "task.py").open("a") as f:
        f.write(ASK)
    monkeypatch.chdir(tmp_path)
    return registry.find(str(tmp_path / "asked"))


@pytest.mark.parametrize(
    ("what", "why"),
    [
        ("huge", "more than 16384 bytes of output"),
        ("memory", "more than 512 MiB of memory"),
        pytest.param("loop", "more than 1 s of processor time", marks=pytest.mark.slow),
        ("die", "exit status 7"),
        ("write", "OSError, an error of its own"),
    ],
)
def test_a_question_that_meets_a_limit_has_an_answer(task, monkeypatch, what, why):
    """It says which limit; the next question is answered as if nothing had been."""
    monkeypatch.setattr(program, "CPU_S", 1)
    code = "from toprope.referee import program; program.CPU_S = 1; program.main()"
    monkeypatch.setattr(wire, "command", lambda _, *argv: [sys.executable, "-P", "-c", code, *map(str, argv)])
    with ReferenceProcess(task) as p:
        assert p.query([what.encode()], b"", {})[0].ended == why
        said, cost = p.query([b"echo"], b"in", {})
    assert (said.out, said.err, said.code, said.ended) == (b"in", b"err", 3, "")
    assert cost.bytes == 5


def test_a_program_that_waits_is_ended(task, monkeypatch):
    """Also where it uses no processor time."""
    monkeypatch.setattr(program, "WALL_S", 1.0)
    with ReferenceProcess(task) as p:
        assert p.query([b"sleep"], b"", {})[0].ended == "more than 1 s"


def test_output_is_not_read_beyond_the_limit(task, monkeypatch):
    """However much the process sends: a length that is too large ends it before it is read."""
    with ReferenceProcess(task) as p:
        p.query([b"echo"], b"", {})
        monkeypatch.setattr(program, "ANSWER_BYTES", 10)
        assert p.query([b"echo"], b"x" * 2000, {})[0].ended == "more than 10 bytes of output"


def test_a_program_that_does_not_start_says_so(tmp_path, monkeypatch):
    """In one line with its own words."""
    with pytest.raises(RunError, match="did not start: UsageError: task 'own/nothing-v1' is unknown"):
        ReferenceProcess("own/nothing-v1").query([], b"", {})


def test_the_oracle_tells_why_a_program_was_ended(task, tmp_path):
    """And counts the question as any other."""
    lines = [json.dumps({"argv": [w], "stdin": "in"}) for w in ("huge", "echo")]
    ended, said = public_brief.oracle(task, lines, tmp_path / "vault")
    assert ended["ended"] == "the program was ended: more than 16384 bytes of output"
    assert (said["stdout"], said["queries_left"]) == ("in", public_brief.QUERIES - 2)


@pytest.mark.parametrize(
    ("questions", "spent", "which"),
    [
        (public_brief.QUESTIONS, Cost(0, 0.0), "500 answers"),
        (1, Cost(public_brief.ANSWER_BYTES, 0.0), "4194304 bytes of answers"),
        (1, Cost(0, public_brief.ANSWER_S), "600 s of answers"),
    ],
)
def test_each_author_has_an_allowance(questions, spent, which):
    """Of questions, bytes and time; the complaint says which is used up."""
    public_brief.allowed("ada", questions - 1, Cost(spent.bytes - 1, spent.seconds - 1))
    with pytest.raises(UsageError, match=f"author ada has had {which} of the oracle"):
        public_brief.allowed("ada", questions, spent)
