"""The batched form of an entry point: one call for all variants, and the same outcomes as the plain form."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
from kit import X, box, play
from numpy.typing import NDArray

from toprope.protocols import Dialogue
from toprope.sandbox.box import Case, Job
from toprope.sandbox.memory import PublicMemory
from toprope.space import Dim, Space
from toprope.types import Array, Call, Outcome, Round

pytestmark = pytest.mark.e2e

OK = Outcome.OK
Y = (Array("y", "f8", (1,), high=1e6),)
PLAIN = """
import numpy as np, os, time
def f(x, *, params, rng):
    return np.array([x.sum() + 10 * params["who"] + rng.random()])
"""
BATCHED = (
    PLAIN
    + """
def f_batched(x, *, params, new_rng):
    return x.sum() + 10.0 * params["who"][:, None] + [[new_rng().random()] for _ in params["who"]]
"""
)


def values(source: str, k: int = 4, **options: Any) -> tuple[list[Outcome], NDArray[np.float64]]:
    result, seen, _ = play(source, k, **options)
    return result.outcomes, np.array([case["y"][:, 0] for case in seen])


def test_both_forms_answer_alike() -> None:
    """Also over several cases; the batched form is the one that was called."""
    plain, batched = values(PLAIN, cases=3), values(BATCHED, cases=3)
    assert plain[0] == batched[0] == [OK] * 4
    assert np.array_equal(plain[1], batched[1])
    marked = values(BATCHED.replace("x.sum() + 10.0", "1000 + x.sum() + 10.0"))
    assert np.allclose(marked[1], plain[1][:1] + 1000)


def test_one_variant_is_asked_by_the_plain_form() -> None:
    """A block of one has nothing to share."""
    assert np.array_equal(values(BATCHED.replace("x.sum() + 10.0", "1000.0"), k=1)[1], values(PLAIN, k=1)[1])


def test_parameters_come_as_columns() -> None:
    """bool, int and float levels are arrays of numbers; others are objects, and a changed list harms nobody."""
    space = Space([
        Dim("a", [0, 1.5]), Dim("b", [[1], [2, 3]]), Dim("c", ["x", "y"]), Dim("d", [False, True]), Dim("e", [3, 4])
    ])  # fmt: skip
    source = b"""
import numpy as np
def f(x, *, params):
    raise ValueError
def f_batched(x, *, params):
    assert [params[n].dtype.kind for n in "abcde"] == ["f", "O", "O", "b", "i"]
    for one in params["b"]:
        one.append(7)
    return np.column_stack([params["a"], [sum(set(b)) for b in params["b"]], params["c"] == "y", params["d"],
        params["e"]])
"""
    rows = np.array([[0, 0, 0, 0, 0], [1, 1, 1, 1, 1]], np.uint8)

    def dialogue(entries: frozenset[str]) -> Dialogue:
        assert entries == {"f"}  # a task knows the plain names only
        return (yield Round((Call("f", ("x",), returns=(Array("y", "f8", (5,)),)),)))

    seen: list[Any] = []
    with PublicMemory.of({"x": X}) as public:
        cases = [Case(public, 0, dialogue)] * 2
        box().run(Job({"solution.py": source}, space, rows, ["f"]), cases, lambda i, o, a: seen.append(o["y"]))
    assert seen[0].tolist() == [[0, 8, 0, 0, 3], [1.5, 12, 1, 1, 4]]
    assert np.array_equal(*seen)


def test_states_rows_of_their_own_and_items() -> None:
    """What is kept is one object per variant, so a plain function may read what a batched one kept; rows that differ by
    variant come stacked; a call per item gets its answers side by side."""

    def dialogue(entries: frozenset[str]) -> Dialogue:
        kept = yield Round((Call("f", ("x",), keep="state", returns=Y),))
        more = {"rows": np.ones(3), "text": np.frombuffer(b"[[2],[3]]", np.uint8)}
        own = {"last": kept["y"] * 2}
        second = yield Round((Call("g", ("state", "rows", "last"), returns=(Array("y", "f8", (2,)),), items="text"),),
            more, own)  # fmt: skip
        third = yield Round((Call("h", ("state",), returns=Y),))
        return {"second": second["y"], "third": third["y"]}

    plain = """
import numpy as np
def f(x, *, params):
    return [params["who"] + x.sum()], {"who": params["who"]}
def g(state, rows, last, item):
    return state["who"] * 100 + rows.sum() * item + last[0]
def h(state):
    return [state["who"]]
"""
    batched = """
def f_batched(x, *, params):
    return (params["who"] + x.sum())[:, None], [{"who": w} for w in params["who"]]
def g_batched(states, rows, last, item):
    return np.array([s["who"] for s in states]) * 100 + rows.sum() * item + last[:, 0]
"""
    found = [play(source, 3, dialogue=dialogue) for source in (plain, plain + batched)]
    for result, seen, _ in found:
        assert result.outcomes == [OK] * 3, result.messages
        assert seen[0]["second"].tolist() == [[18, 21], [120, 123], [222, 225]]
        assert seen[0]["third"].tolist() == [[0], [1], [2]]


ENDS = {
    "exception": "raise ValueError(3)",
    "shape": "return np.zeros(3)",
    "rows": "return np.zeros((3, 1))",
    "not finite": "return np.full((4, 1), np.nan)",
    "out of range": "return np.full((4, 1), 1e9)",
    "exit": "os._exit(0)",
    "hang": "time.sleep(60)",
    "memory": "return np.ones((1 << 33, 1))",
    "forbidden call": "os.kill(1, 9)",
    "recursion": "return f_batched(x, params=params, new_rng=new_rng)",
}


@pytest.mark.parametrize("how", ENDS)
def test_a_batch_that_fails_blames_nobody(how: str) -> None:
    """However it ends, every variant then is asked by the plain form, and its outcome is what that deserves."""
    source = PLAIN + f"\ndef f_batched(x, *, params, new_rng):\n    {ENDS[how]}\n"
    assert values(source, cases=2)[0] == [OK] * 4
    assert np.array_equal(values(source, cases=2)[1], values(PLAIN, cases=2)[1])


def test_the_plain_form_says_who_fails() -> None:
    """Outcomes and messages are those of the plain form; a remark at the first variant says why the batch failed."""
    plain = PLAIN.replace("    return", "    if params['who'] == 2: raise KeyError('two')\n    return")
    source = plain + "\ndef f_batched(x, *, params, new_rng):\n    raise KeyError('any')\n"
    result, _, _ = play(source, 4)
    assert result.outcomes == [OK, OK, Outcome.CRASH, OK]
    assert set(result.messages) == {0, 2}
    assert "two" in result.messages[2]
    assert "the batched form failed" in result.messages[0]
    assert "any" in result.messages[0]


def test_a_later_round_that_fails_replays_the_earlier_ones() -> None:
    """The batch of round two fails after round one was answered: the plain forms play both, and states are whole."""

    def dialogue(entries: frozenset[str]) -> Dialogue:
        yield Round((Call("f", ("x",), keep="state"),))
        return (yield Round((Call("g", ("state",), returns=Y),)))

    source = """
import numpy as np
def f(x, *, params):
    return params["who"] + 0.5
def g(state):
    return [state]
def f_batched(x, *, params):
    return [None] * len(params["who"])
def g_batched(states):
    return np.array(states)[:, None]
"""
    result, seen, _ = play(source, 3, dialogue=dialogue)
    assert result.outcomes == [OK] * 3, result.messages
    assert seen[0]["y"][:, 0].tolist() == [0.5, 1.5, 2.5]


def test_a_forbidden_call_in_a_batch_is_noted() -> None:
    """Nobody can be blamed for certain, but the operator sees it."""
    source = PLAIN + "\ndef f_batched(x, *, params, new_rng):\n    os.kill(1, 9)\n"
    result, _, _ = play(source, 4)
    assert [i.severity for seen in result.incidents.values() for i in seen] == ["advisory"]


def test_a_hanging_batch_costs_one_limit() -> None:
    """It does not get the limit of each of its variants."""
    begin = time.monotonic()
    source = PLAIN + "\ndef f_batched(x, *, params, new_rng):\n    time.sleep(600)\n"
    assert values(source, k=8)[0] == [OK] * 8
    assert time.monotonic() - begin < 100  # the limit is one second; generous, because this machine may be busy


def test_more_variants_than_the_slots_hold() -> None:
    """Answers that do not fit into the shared memory at once are asked for in several batches."""
    wide = 5 << 20  # 40 MiB an answer, one per window

    def dialogue(entries: frozenset[str]) -> Dialogue:
        return (yield Round((Call("f", ("x",), returns=(Array("y", "u1", (wide,)),)),)))

    source = f"""
import numpy as np
def f(x, *, params):
    return np.full({wide}, params["who"], np.uint8)
def f_batched(x, *, params):
    return np.repeat(params["who"].astype(np.uint8)[:, None], {wide}, axis=1)
"""
    result, seen, _ = play(source, 3, dialogue=dialogue)
    assert result.outcomes == [OK] * 3, result.messages
    assert seen[0]["y"][:, 7].tolist() == [0, 1, 2]


def test_the_sandbox_of_the_tests_is_fine_afterwards() -> None:
    """No failed batch leaves its zygote in a state that harms the next job."""
    assert values(BATCHED, sandbox=box())[0] == [OK] * 4
