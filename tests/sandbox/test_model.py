"""`model(messages)` inside the sandbox: what comes back, what is refused, and what a hostile child makes of it."""

import time

import numpy as np
import pytest
from kit import SPACE, ask, box, play

from toprope.sandbox.box import Case, Job
from toprope.sandbox.job import QuestionRefused
from toprope.sandbox.memory import PublicMemory
from toprope.types import Outcome

pytestmark = pytest.mark.e2e


def play_with(source, answer, k=1):
    rows, seen = np.arange(k, dtype=np.uint8)[:, None], []
    job = Job({"solution.py": source.encode()}, SPACE, rows, ["f"], True, None, answer)
    with PublicMemory.of({"x": np.arange(4.0)}) as public:
        result = box().run(job, [Case(public, 3, ask)], lambda _, outputs, alive: seen.append((outputs, alive)))
    return result, seen


ASKS = "def f(x, *, model, params):\n    return [float(model([{'role': 'user', 'content': str(params['who'])}]))]"


def test_each_variant_gets_its_own_reply():
    def answer(question, variant):
        return str(int(question.decode().split('"content": "')[1][0]) * 10)

    result, seen = play_with(ASKS, answer, 4)
    assert result.outcomes == [Outcome.OK] * 4
    assert seen[0][0]["y"][:, 0].tolist() == [0.0, 10.0, 20.0, 30.0]


def test_a_function_that_takes_no_model_is_given_none_and_a_task_without_one_has_none():
    assert play_with("def f(x):\n    return [1.0]", lambda q, v: "")[0].outcomes == [Outcome.OK]
    result, _, _ = play(ASKS)
    assert result.outcomes == [Outcome.CRASH]
    assert "model" in result.messages[0]


def test_a_long_question_arrives_whole():
    source = "def f(x, *, model):\n    return [float(model([{'role': 'user', 'content': 'a' * 200_000}]))]"
    result, seen = play_with(source, lambda q, v: str(len(q)))
    assert result.outcomes == [Outcome.OK], result.messages
    assert seen[0][0]["y"][0, 0] > 200_000


def test_a_refusal_can_be_caught_and_otherwise_is_a_crash_with_its_words():
    def refuse(question, variant):
        raise QuestionRefused("model: not today")

    result, _ = play_with(ASKS, refuse)
    assert (result.outcomes, result.messages) == (
        [Outcome.CRASH],
        {0: "RuntimeError: model: not today (solution.py line 2)"},
    )
    caught = """
def f(x, *, model):
    try:
        model([])
    except RuntimeError:
        return [7.0]
"""
    _, seen = play_with(caught, refuse)
    assert seen[0][0]["y"][0, 0] == 7.0


def test_waiting_for_the_model_is_not_the_candidates_time():
    def slow(question, variant):
        time.sleep(1.6)  # the sandbox's limit is one second
        return "1"

    assert play_with(ASKS, slow)[0].outcomes == [Outcome.OK]


def test_asking_for_ever_is_a_timeout():
    source = """
def f(x, *, model):
    while True:
        try:
            model([])
        except RuntimeError:
            pass
"""

    def refuse(question, variant):
        raise QuestionRefused("no")

    result, _ = play_with(source, refuse)
    assert result.outcomes == [Outcome.TIMEOUT]


RAW = """
import os, struct
def send(kind, data, variant=0):
    for fd in range(3, 20):
        try:
            os.write(fd, struct.pack("<cIH", kind, variant, len(data)) + data)
        except OSError:
            pass
"""


@pytest.mark.parametrize(
    ("body", "answer", "outcome"),
    [
        ("send(b'Q', b'[]')", None, Outcome.VIOLATION),  # a question without a model to ask
        ("for _ in range(64): send(b'P', b'x' * 32768)", "ok", Outcome.OUTPUT),  # a question without an end
        ("send(b'Q', b'x' * 32769)", "ok", Outcome.VIOLATION),
        ("send(b'Q', b'[]', 7)", "ok", Outcome.VIOLATION),  # in the name of a variant that does not exist
    ],
)
def test_notes_a_child_forges(body, answer, outcome):
    source = f"{RAW}\ndef f(x):\n    {body}\n    return [1.0]"
    result, _ = play_with(source, None if answer is None else lambda q, v: answer)
    assert result.outcomes == [outcome], result


def test_a_question_of_its_own_making_is_only_a_question():
    heard = []

    def answer(question, variant):
        heard.append(question)
        return "1"

    source = f"{RAW}\ndef f(x, *, model):\n    send(b'Q', b'whatever')\n    return [1.0]"
    result, _ = play_with(source, answer)
    assert heard == [b"whatever"]
    assert result.outcomes[0] in (Outcome.OK, Outcome.CRASH, Outcome.VIOLATION)  # its next message is one too many


@pytest.mark.parametrize("kind", ["P", "Q"])
def test_asking_for_ever_buys_no_time(kind):
    """A candidate that sends parts of questions, or is refused again and again, and rests in between is timed."""
    source = f"""
import gc, time
def f(x):
    session = next(o for o in gc.get_objects() if type(o).__name__ == "ChildSession")
    while True:
        session.channel.note(b"{kind}", 0, b"1")
        if {kind == "Q"}:
            session.channel.receive()
        time.sleep(0.01)
"""

    def refuse(question, variant):
        raise QuestionRefused("no")

    assert play_with(source, refuse)[0].outcomes == [Outcome.TIMEOUT]
