"""What the fuzz tests share: how many cases, how they run, what counts as a defined end, and how to spoil good data.

Fixed seeds, so that CI repeats itself. To look for something new: `HYPOTHESIS_PROFILE=explore pytest tests/fuzz`, which
draws other cases at every run, ten times as many.
"""

import contextlib
import faulthandler
import os
import resource
import signal
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.errors import HypothesisWarning

from toprope.errors import TopropeError
from toprope.view.text import clean

EXPLORE = os.environ.get("HYPOTHESIS_PROFILE") == "explore"
HANG_S = 60  # of one case; far above what any takes, so that a busy machine fails nothing
ROOM = 1 << 30  # bytes of address space a case may add
LINE_MAX = 2000  # characters of a message that is still a line
SIZES = {  # reader -> cases in the fast form, in the slow form
    "wire: bytes": (150, 1500),
    "wire: spoiled messages": (150, 1500),
    "wire: channel": (100, 1000),
    "wire: a real scorer": (3, 24),
    "wire: a real hub": (2, 12),
    "wire: a real service": (40, 600),
    "address": (60, 600),
    "wire: what a scorer says": (60, 600),
    "notes": (150, 1500),
    "frames": (120, 1200),
    "sandbox: a real child": (20, 400),
    "ledger: bytes": (40, 1000),
    "ledger: tables": (80, 800),
    "ledger: records": (40, 1500),
    "vault: bytes": (60, 600),
    "vault: tables": (60, 600),
    "candidate: directories": (80, 600),
    "candidate: params": (100, 1000),
    "candidate: played": (20, 300),
    "task.toml": (100, 1000),
    "replay": (100, 1000),
    "weights": (80, 800),
    "options": (80, 600),
}
COUNTS: dict[str, int] = {}  # of the test that is running

both_forms = pytest.mark.parametrize("form", ["fast", pytest.param("slow", marks=pytest.mark.slow)])


def fuzz(
    reader: str, form: str, strategy: st.SearchStrategy[Any], check: Callable[[Any], None], spawns: bool = False
) -> None:
    """Runs `check` on as many cases as SIZES says; whatever it raises fails the test with the smallest such case.

    spawns: its processes would inherit the bound on memory, which is ours alone.
    """
    size = SIZES[reader][form == "slow"]
    seen = 0

    @settings(
        max_examples=size * (10 if EXPLORE else 1),
        derandomize=not EXPLORE,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        print_blob=True,
    )
    @given(strategy)
    def run(case: Any) -> None:
        nonlocal seen
        seen += 1
        with _watched():
            check(case)

    with contextlib.nullcontext() if spawns else _bounded_memory(), warnings.catch_warnings():
        warnings.simplefilter("ignore", HypothesisWarning)  # a failing case may be a whole file
        run()
    COUNTS[reader] = seen
    assert seen >= size, f"{reader}: {seen} cases, {size} were promised"


@contextlib.contextmanager
def _bounded_memory() -> Iterator[None]:
    """A reader that believes a declared size ends in MemoryError here, which is not a defined end."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    with open("/proc/self/statm") as f:
        used = int(f.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + ROOM, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


@contextlib.contextmanager
def _watched() -> Iterator[None]:
    """A case that hangs fails, also one that hangs in C."""

    def hung(*_: object) -> None:
        raise AssertionError(f"no end within {HANG_S} s")

    before = signal.signal(signal.SIGALRM, hung)
    signal.alarm(HANG_S)
    faulthandler.dump_traceback_later(2 * HANG_S, exit=True)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def outcome(read: Callable[..., Any], *args: Any) -> tuple[Any, TopropeError | None]:
    """(value, None) or (None, one of our errors). Anything else goes on up and fails the test."""
    try:
        return read(*args), None
    except TopropeError as e:
        line = clean(" ".join(str(e).split()))  # as the command line prints it
        assert line, "an error without a word"
        assert len(line) <= LINE_MAX, f"{len(line)} characters"
        return None, e


# ---------------------------------------------------------------- spoiling


@st.composite
def spoiled(draw: st.DrawFn, good: bytes, most: int = 4) -> bytes:
    """Good bytes with a few of them flipped, set, cut out, put in or repeated, or cut short."""
    data = bytearray(good)
    for _ in range(draw(st.integers(1, most))):
        at = draw(st.integers(0, max(len(data) - 1, 0)))
        match draw(st.sampled_from(["flip", "flip", "set", "drop", "insert", "repeat", "cut"])):
            case "flip" if data:
                data[at] ^= 1 << draw(st.integers(0, 7))
            case "set" if data:
                data[at] = draw(st.integers(0, 255))
            case "drop":
                del data[at : at + draw(st.integers(1, 64))]
            case "insert":
                data[at:at] = draw(st.binary(max_size=32))
            case "repeat":
                data[at:at] = data[at : at + draw(st.integers(1, 64))]
            case "cut":
                del data[at:]
    return bytes(data)


scalars: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.sampled_from([0, 1, -1, 2, 7, 255, 256, 2**31, 2**63 - 1, 10**6]),
    st.floats(),
    st.sampled_from([float("nan"), float("inf"), -float("inf"), 1e300, -1e300, 1e-320]),
    st.text(max_size=12),
    st.binary(max_size=12),
)
trees: st.SearchStrategy[Any] = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=10,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths of all values inside nested lists and dictionaries."""
    yield path
    if isinstance(value, dict):
        for k in value:
            yield from places(value[k], (*path, k))
    elif isinstance(value, list | tuple):
        for i, v in enumerate(value):
            yield from places(v, (*path, i))


def replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """A copy with the value at `path` replaced; `new` gets the old one and DROP takes it out."""
    if not path:
        return new(value) if callable(new) else new
    at, rest = path[0], path[1:]
    inner = replaced(value[at], rest, new)
    if isinstance(value, dict):
        return {k: (inner if k == at else v) for k, v in value.items() if not (k == at and inner is DROP)}
    return [inner if i == at else v for i, v in enumerate(value) if not (i == at and inner is DROP)]


DROP = object()


@st.composite
def twisted(draw: st.DrawFn, good: Any, most: int = 3) -> Any:
    """Good data with a few values replaced by others of any type, taken out, or exchanged with each other."""
    value = good
    for _ in range(draw(st.integers(1, most))):
        paths = [p for p in places(value) if p]
        if not paths:
            break
        path = draw(st.sampled_from(paths))
        new = draw(st.one_of(trees, st.just(DROP), scalars.map(lambda s: s), st.sampled_from(paths).map(lambda p: p)))
        if isinstance(new, tuple):
            found = value
            for step in new:
                found = found[step]
            new = found
        value = replaced(value, path, new if not callable(new) else None)
    return value
