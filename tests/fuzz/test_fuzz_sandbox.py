"""What a child can write, random: notes, frames, and a real child that owns its channel and its slots."""

import hashlib
import json
import textwrap

import numpy as np
import pytest
from fuzzing import both_forms, fuzz, outcome, trees
from hypothesis import strategies as st

from toprope.protocols import Dialogue
from toprope.run.submit import read_candidate
from toprope.sandbox import frames
from toprope.sandbox.box import Case, Job, Sandbox
from toprope.sandbox.inside.channel import FIRST, NOTE, TEXT_MAX, frame
from toprope.sandbox.memory import PublicMemory
from toprope.space import Dim, Space, several
from toprope.tasks import registry
from toprope.types import Array, Call, Limits, Outcome, Round

pytestmark = pytest.mark.e2e

KIND = st.sampled_from([b"S", b"M", b"H", b"X", b"E", b"D", b"T", b"\0", b"Z"])
NOTES = st.builds(
    lambda kind, number, length, text: NOTE.pack(kind, number, len(text) if length is None else length) + text,
    KIND, st.integers(0, 2**32 - 1) | st.integers(0, 5), st.none() | st.integers(0, 65535), st.binary(max_size=60),
)  # fmt: skip


@both_forms
def test_notes(form):
    """Whole notes in order, what is left is a beginning of one, or None: whatever the bytes and however they come."""

    def check(case):
        data, cut = case
        inbox, taken = bytearray(data[:cut]), []
        for rest in (data[cut:], b""):
            found = frames.notes(inbox)
            if found is None:
                return
            taken += found
            inbox += rest
        told = b"".join(NOTE.pack(n.kind, n.number, len(n.text)) + n.text for n in taken)
        assert told + bytes(inbox) == data
        assert all(n.kind in b"SMHXEDT" and len(n.text) <= 4 * TEXT_MAX for n in taken)
        assert len(inbox) < NOTE.size + 4 * TEXT_MAX

    data = st.one_of(st.binary(max_size=300), st.lists(NOTES, max_size=4).map(b"".join))
    fuzz("notes", form, st.tuples(data, st.integers(0, 40)), check)


ARRAYS = st.lists(
    st.builds(
        Array,
        st.sampled_from("abcd"),
        st.sampled_from(["f4", "f8", "i4", "i8", "u1"]),
        st.lists(st.integers(0, 3), max_size=2).map(tuple),
        st.none() | st.integers(-5, 5).map(float),
        st.none() | st.integers(-5, 5).map(float),
    ),
    max_size=3,
    unique_by=lambda a: a.name,
)


@both_forms
def test_frames(form):
    """Of random slots only frames with their own nonce, number and kind count, and only numbers in range pass."""

    def check(case):
        arrays, k, noise, honest = case
        layout = frame([(a.name, a.dtype, list(a.shape)) for a in arrays])
        rng = np.random.default_rng(noise)
        window = frames.Window(
            np.arange(k, dtype=np.uint32), rng.integers(0, 2**64, k, np.uint64), layout, tuple(arrays)
        )
        slots = bytearray(FIRST + layout.itemsize * k)
        slots[FIRST:] = rng.bytes(layout.itemsize * k)
        view = np.frombuffer(slots, layout, k, FIRST)
        view["#nonce"][:honest], view["#variant"][:honest], view["#kind"][:honest] = (
            window.nonces[:honest],
            np.arange(k)[:honest],
            1,
        )
        got, good = frames.read(slots, window, k)
        assert good == min(honest, k) == len(got)  # random nonces of 64 bits are never right
        bad = frames.faults(got, tuple(arrays))
        for i in range(good):
            fine = all(
                np.isfinite(got[a.name][i]).all()
                and (a.low is None or (got[a.name][i] >= a.low).all())
                and (a.high is None or (got[a.name][i] <= a.high).all())
                for a in arrays
            )
            assert fine == (i not in bad)

    case = st.tuples(ARRAYS, st.integers(1, 6), st.integers(0, 2**32), st.integers(0, 7))
    fuzz("frames", form, case, check)


SPACE = Space([Dim("who", [0, 1, 2])])
ANSWER = (Array("y", "f8", (1,), -100.0, 100.0),)
SOURCE = """
import array, gc, os, struct
import numpy as np
from inside.candidate import ChildSession
ACTS = $ACTS
def own():
    return next(o for o in gc.get_objects() if isinstance(o, ChildSession))
def act(moment):
    for when, what, at, data in ACTS:
        if when != moment:
            continue
        try:
            session = own()
            if what == "say":
                os.write(session.channel.fd, data)
            elif what == "slots":
                session.slots[at : at + len(data)] = data
            elif what == "counter":
                session.counter[0] = at
            elif what == "note":
                session.channel.note(data[:1] or b"D", at, data[1:])
            elif what == "flood":
                for _ in range(200):
                    os.write(session.channel.fd, (data or b"x") * 60)
            elif what == "deaf":
                os.close(session.channel.fd)
            elif what == "leave":
                os._exit(at % 256)
        except (StopIteration, ValueError, OSError, IndexError):
            pass
def f(x, *, params):
    if params["who"] == 1:
        act("play")
    return [x.sum() + params["who"]]
def g():
    act("load")
g()
"""


def ask(entries: frozenset[str]) -> Dialogue:
    return (yield Round((Call("f", ("x",), returns=ANSWER),)))


@pytest.fixture(scope="module")
def box():
    with Sandbox(Limits(1.0, 1.0, 256), tier="linux-landlock") as sandbox:
        yield sandbox


ACTS = st.lists(
    st.tuples(
        st.sampled_from(["load", "play", "play"]),
        st.sampled_from(["say", "say", "note", "note", "slots", "slots", "counter", "flood", "deaf", "leave"]),
        st.integers(0, 200) | st.sampled_from([2**32 - 1, 2**63, 64, 72, 0, 1, 2, 3]),
        st.binary(max_size=40) | NOTES | st.just(b"D" + b"0" * 16) | st.just(NOTE.pack(b"D", 3, 16) + b"0" * 16),
    ),
    min_size=1,
    max_size=3,
)


@both_forms
def test_a_real_child(form, box):
    """One of three variants writes anything anywhere at any moment: it gets an outcome, others their numbers."""

    def check(acts):
        source = textwrap.dedent(SOURCE).replace("$ACTS", repr(acts))
        job = Job({"solution.py": source.encode()}, SPACE, np.arange(3, dtype=np.uint8)[:, None], ["f"], True)
        seen = []
        with PublicMemory.of({"x": np.arange(4.0)}) as public:
            result = box.run(job, [Case(public, 3, ask)], lambda i, outputs, alive: seen.append((outputs, alive)))
        assert all(isinstance(o, Outcome) for o in result.outcomes)
        at_load = any(when == "load" for when, *_ in acts)
        for i in (0, 2):
            if result.outcomes[i] is Outcome.OK:
                ((outputs, alive),) = seen
                if not any(what == "slots" for _, what, *_ in acts):  # slots are its own block's to spoil
                    assert alive[i] and outputs["y"][i, 0] == 6.0 + i
            elif not at_load:
                pytest.fail(f"a neighbour ended {result.outcomes[i]}")
        for outputs, alive in seen:
            assert (np.abs(outputs["y"][alive]) <= 100).all()
        assert all(len(m) <= 4 * TEXT_MAX for m in result.messages.values())

    fuzz("sandbox: a real child", form, ACTS, check)


def test_what_the_real_child_does_reaches_its_channel(box):
    """The fuzzed child does find its channel and slots: a word out of turn is a violation."""
    acts = [("play", "say", 0, b"\xff" * 30)]
    job = Job(
        {"solution.py": SOURCE.replace("$ACTS", repr(acts)).encode()}, SPACE, np.array([[1]], np.uint8), ["f"], True
    )
    with PublicMemory.of({"x": np.arange(4.0)}) as public:
        assert box.run(job, [Case(public, 3, ask)], lambda *_: None).outcomes == [Outcome.VIOLATION]


ECHO = b"""import hashlib, json
def f(x, *, params):
    text = json.dumps(params, sort_keys=True).encode()
    return [float(int.from_bytes(hashlib.sha256(text).digest()[:4], "big") % 100)]
"""


@both_forms
def test_a_candidate_gets_the_parameters_of_its_file(form, box, tmp_path):
    """Whatever params.json says and `submit` accepts arrives in the child as it stands there."""
    spec = registry.load("testing/coin-v1").spec
    (tmp_path / "solution.py").write_bytes(ECHO)

    def check(params):
        (tmp_path / "params.json").write_text(json.dumps(params, default=repr))
        candidate, _ = outcome(read_candidate, tmp_path, None, spec)
        if candidate is None:
            return
        space, rows = several([candidate.params])
        seen = []
        with PublicMemory.of({"x": np.arange(4.0)}) as public:
            case = Case(public, 3, ask)
            result = box.run(
                Job(candidate.tree.files, space, rows, ["f"], True), [case], lambda i, o, _: seen.append(o)
            )
        text = json.dumps(json.loads((tmp_path / "params.json").read_text()), sort_keys=True).encode()
        assert result.outcomes == [Outcome.OK], result
        assert seen[0]["y"][0, 0] == int.from_bytes(hashlib.sha256(text).digest()[:4], "big") % 100

    fuzz("candidate: played", form, st.dictionaries(st.text(max_size=8), trees, max_size=5), check)


@pytest.mark.parametrize("company", [[0, 1, 2], [0, 1], [1, 2], [1, 0, 2, 2]])
def test_a_note_begun_by_one_is_not_blamed_on_the_last(box, company):
    """Half a message swallows the word that ends the round: the variant that wrote it times out, and no other."""
    acts = [("play", "say", 0, b"H\0\0\0\0\x18\0")]
    job = Job(
        {"solution.py": SOURCE.replace("$ACTS", repr(acts)).encode()},
        SPACE,
        np.array(company, np.uint8)[:, None],
        ["f"],
    )
    with PublicMemory.of({"x": np.arange(4.0)}) as public:
        result = box.run(job, [Case(public, 3, ask)], lambda *_: None)
    assert result.outcomes == [Outcome.TIMEOUT if who == 1 else Outcome.OK for who in company]
