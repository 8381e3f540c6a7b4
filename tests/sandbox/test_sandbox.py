"""What an honest block may rely on: parameters, rng, rounds, state, and neighbours that cannot spoil it."""

from __future__ import annotations

import os
import platform
import runpy
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kit import SPACE, TIERS, X, ask, box, play

from toprope.errors import NoProtection, UsageError, WorkerDied
from toprope.protocols import Dialogue
from toprope.sandbox import process, walls
from toprope.sandbox.box import Case, Job, Sandbox
from toprope.sandbox.inside.calls import Seed, generator
from toprope.sandbox.memory import PublicMemory
from toprope.space import Dim, Space
from toprope.types import Array, Call, Limits, Outcome, Round

pytestmark = pytest.mark.e2e

OK = Outcome.OK
Y = (Array("y", "f8", (1,)),)
FIT_PREDICT = """
import numpy as np
def f(x, *, params, rng):
    return {"who": params["who"], "draw": rng.random()}
def g(state, rows):
    return np.array([state["who"] * 100 + rows.sum() + state["draw"]])
"""


def fit_predict(entries: frozenset[str]) -> Dialogue:
    """Fit and keep, then two rounds of predictions on rows that come only then."""
    yield Round((Call("f", ("x",), keep="state"),))
    first = yield Round((Call("g", ("state", "rows"), returns=Y),), {"rows": np.ones(3)})
    second = yield Round((Call("g", ("state", "rows"), returns=Y),), {"rows": np.full(2, 10.0)})
    return {"first": first["y"], "second": second["y"]}


class TestBlocks:
    def test_params_are_the_levels_of_the_row(self) -> None:
        """Each variant gets its own row, decoded; a list among the levels is a fresh one every time."""
        space = Space([Dim("a", [0.5, 1.5]), Dim("b", [[1], [2, 3]]), Dim("c", ["x", None])])
        source = b"""
import numpy as np
def f(x, *, params):
    params["b"].append(7)
    return np.array([params["a"], sum(params["b"]), params["c"] is None])
"""
        rows = np.array([[0, 0, 0], [1, 1, 1], [1, 0, 0], [0, 0, 1]], np.uint8)

        def dialogue(entries: frozenset[str]) -> Dialogue:
            return (yield Round((Call("f", ("x",), returns=(Array("y", "f8", (3,)),)),)))

        seen: list[Any] = []
        with PublicMemory.of({"x": X}) as public:
            box().run(
                Job({"solution.py": source}, space, rows, ["f"]),
                [Case(public, 0, dialogue)],
                lambda i, o, a: seen.append(o["y"]),
            )
        assert seen[0].tolist() == [[0.5, 8, 0], [1.5, 12, 1], [1.5, 8, 0], [0.5, 8, 1]]

    def test_a_conversation_depends_on_the_answers(self) -> None:
        """A function may answer and keep a state; from the second round on each variant sees the row made of its own
        answers, also after a neighbour's hang has cost the child and earlier rounds were played again."""
        source = """
import numpy as np, time
def f(state, seen, *, params):
    state = [] if state is None else state
    state.append(float(seen[0]))
    if params["who"] == 1 and len(state) == 2:
        time.sleep(30)
    return np.array([seen[0] * 10 + params["who"]]), state
def g(state):
    return np.array([sum(state)])
"""

        def dialogue(entries: frozenset[str]) -> Dialogue:
            call = Call("f", ("state", "seen"), returns=Y, keep="state")
            answer = yield Round((call,), {"seen": np.ones(1)})
            for _ in range(2):
                answer = yield Round((call,), own={"seen": answer["y"]})
            total = yield Round((Call("g", ("state",), returns=Y),))
            return {"last": answer["y"], "total": total["y"]}

        result, seen, _ = play(source, 3, sandbox=box(wall_s=0.3), dialogue=dialogue)
        assert result.outcomes == [OK, Outcome.TIMEOUT, OK]
        assert seen[0]["last"][[0, 2], 0].tolist() == [1000.0, 1222.0]
        assert seen[0]["total"][[0, 2], 0].tolist() == [111.0, 135.0]

    def test_an_answer_without_its_state_is_invalid(self) -> None:
        """Where answer and state are expected, an answer alone is refused with what was expected."""

        def dialogue(entries: frozenset[str]) -> Dialogue:
            return (yield Round((Call("f", ("x",), returns=Y, keep="state"),)))

        result, _, _ = play("def f(x):\n    return x[:1]\n", dialogue=dialogue)
        assert result.outcomes == [Outcome.INVALID]
        assert "expected a tuple of 2: y, state" in result.messages[0]

    def test_rng_is_fresh_for_every_call_and_case(self) -> None:
        """Every variant that takes rng sees the stream of default_rng(case.seed) from its start."""
        source = "import numpy as np\ndef f(x, *, rng):\n    return np.array([rng.random() + rng.integers(100)])\n"
        _, seen, _ = play(source, 3, seed=11, cases=2)
        rng = np.random.default_rng(11)
        expected = rng.random() + rng.integers(100)
        for outputs in seen:
            assert outputs["y"][:, 0].tolist() == [expected] * 3

    def test_rng_is_default_rng_in_every_respect(self) -> None:
        """The cheap generator has the stream and the spawned children of default_rng."""
        ours, theirs = generator(Seed(5)), np.random.default_rng(5)
        assert ours.standard_normal(9).tolist() == theirs.standard_normal(9).tolist()
        assert ours.spawn(2)[1].random() == theirs.spawn(2)[1].random()
        assert ours.bit_generator.state == theirs.bit_generator.state

    def test_kwargs_go_to_functions_that_accept_them(self) -> None:
        """An optional public array reaches the function that names it and does not disturb the one that doesn't."""

        def dialogue(entries: frozenset[str]) -> Dialogue:
            return (yield Round((Call("f", (), ("x",), Y),)))

        with_it, without = "def f(*, x):\n    return [x.sum()]\n", "def f():\n    return [1.0]\n"
        assert play(with_it, dialogue=dialogue)[1][0]["y"][0, 0] == 6.0
        assert play(without, dialogue=dialogue)[1][0]["y"][0, 0] == 1.0

    def test_outputs_of_every_dtype_arrive_exactly(self) -> None:
        """Several arrays of several dtypes and shapes, a scalar and an empty one among them, arrive bit for bit."""
        returns = tuple(
            Array(f"a{i}", d, s) for i, (d, s) in enumerate([("f4", (2, 3)), ("i8", ()), ("u1", (5,)), ("f8", (0,))])
        )

        def dialogue(entries: frozenset[str]) -> Dialogue:
            return (yield Round((Call("f", (), returns=returns),)))

        source = """
import numpy as np
def f(*, params):
    i = params["who"]
    return np.arange(6).reshape(2, 3)[::-1] + i, 2**62 + i, np.arange(5), []
"""
        _, seen, _ = play(source, 4, dialogue=dialogue)
        assert seen[0]["a0"][3].tolist() == [[6, 7, 8], [3, 4, 5]]
        assert seen[0]["a1"].tolist() == [2**62 + i for i in range(4)]
        assert (seen[0]["a2"] == np.arange(5)).all()
        assert (seen[0]["a0"].dtype, seen[0]["a3"].shape) == (np.float32, (4, 0))

    def test_more_answers_than_the_slots_hold(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A block whose answers outgrow the shared memory is asked in several goes, in order."""
        monkeypatch.setattr("toprope.sandbox.play.SLOTS", 64 + 3 * 24)
        source = "import numpy as np\ndef f(x, *, params):\n    return [params['who'] * 1.0]\n"
        _, seen, _ = play(source, 8)
        assert seen[0]["y"][:, 0].tolist() == list(range(8))

    def test_candidate_files_are_modules(self) -> None:
        """A candidate's other files import as modules and packages; the error names file and line."""
        files = {
            "solution.py": b"import helper\nfrom pack.deep import two\ndef f(x):\n    return [helper.one() + two]\n",
            "helper.py": b"def one():\n    return 1.0\n",
            "pack/deep.py": b"two = 2.0\n",
        }
        bad = files | {"helper.py": b"def one():\n\n    return {}['k']\n"}
        seen: list[Any] = []
        rows = np.zeros((1, 1), np.uint8)
        with PublicMemory.of({"x": X}) as public:
            cases = [Case(public, 0, ask)]
            box().run(Job(files, SPACE, rows, ["f"]), cases, lambda i, o, a: seen.append(o["y"][0, 0]))
            result = box().run(Job(bad, SPACE, rows, ["f"], True), cases, lambda i, o, a: seen.append(None))
        assert seen == [3.0]
        assert result.messages == {0: "KeyError: 'k' (helper.py line 3)"}

    @pytest.mark.parametrize(
        ("source", "outcome"),
        [
            (b"def f(x):\n    return [1.0]  # \xff\n", Outcome.CRASH),
            (b"# \xff\ndef f(x):\n    return [1.0]\n", Outcome.CRASH),
            (b"# coding: utf-8\n\n# \xff\ndef f(x):\n    return [1.0]\n", Outcome.CRASH),
            (b"# coding: latin-1\n\n# \xff\ndef f(x):\n    return [1.0]\n", OK),
            (b"\xef\xbb\xbf# \xc3\xb6\ndef f(x):\n    return [1.0]\n", OK),
        ],
    )
    def test_a_file_is_text_where_python_says_so(self, source: bytes, outcome: Outcome, tmp_path: Path) -> None:
        """A file loads if python itself would run it: bytes that are not text are refused in comments too."""
        job = Job({"solution.py": source}, SPACE, np.zeros((1, 1), np.uint8), ["f"], True)
        with PublicMemory.of({"x": X}) as public:
            result = box().run(job, [Case(public, 0, ask)], lambda i, o, a: None)
        assert result.outcomes == [outcome], result
        (tmp_path / "solution.py").write_bytes(source)
        by_hand = subprocess.run([sys.executable, str(tmp_path / "solution.py")], capture_output=True, check=False)
        if not source.startswith(b"# coding: utf-8"):  # there python 3.11 does not look
            assert (by_hand.returncode == 0) == (outcome is OK)


HONEST = """
import abc, bisect, collections, contextlib, copy, dataclasses, enum, fractions, functools, hashlib, heapq, io
import itertools, json, math, operator, queue, random, re, statistics, string, textwrap, threading, time, typing
import warnings, zlib, bz2, lzma, decimal, csv, pprint, logging, sqlite3
import numpy as np
import numpy.polynomial, numpy.ma, numpy.linalg as la
def f(x, *, params, rng):
    a = rng.standard_normal((200, 20))
    y = a @ rng.standard_normal(20)
    w = la.lstsq(a, y, rcond=None)[0]
    u, s, v = la.svd(a, full_matrices=False)
    e = la.eigvals(a.T @ a).real.sum() + la.eigh(a.T @ a)[0].sum() + la.det(a.T @ a / 200) + la.inv(a.T @ a).sum()
    z = np.fft.ifft(np.fft.fft(y)).real
    out = []
    t = threading.Thread(target=lambda: out.append(np.sort(y)[0]))
    t.start(); t.join()
    rng.shuffle(y)
    q = np.polynomial.Polynomial.fit(np.arange(9.0), np.arange(9.0), 2)(3.0)
    m = np.ma.masked_less(y, 0).mean() + np.einsum("ij,ij->", a, a) + np.percentile(y, 30) + np.unique(y).size
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        np.log(np.zeros(1))
    buffer = io.BytesIO(); np.save(buffer, a); buffer.seek(0); np.load(buffer)
    print("to nowhere", np.array2string(a[:2]))
    time.sleep(0.001)
    return [w.sum() + s[0] + e + z[0] + out[0] + q + m + random.Random(3).random() + statistics.mean([1, 2])]
"""


@pytest.mark.parametrize("tier", TIERS)
class TestHonestCode:
    def test_numpy_and_the_standard_library_work(self, tier: str) -> None:
        """Linear algebra, FFT, threads, printing and a lap through the standard library run inside as outside."""
        result, seen, _ = play(HONEST, 2, sandbox=box(tier=tier))
        assert result.outcomes == [OK, OK], result
        outside: dict[str, Any] = {}
        exec(HONEST, outside)
        expected = outside["f"](X, params={}, rng=np.random.default_rng(3))[0]
        assert seen[0]["y"][:, 0] == pytest.approx([expected] * 2, rel=1e-9)


class TestMessages:
    @pytest.mark.parametrize(
        ("body", "outcome", "text"),
        [
            ("return np.zeros(3)", Outcome.INVALID, "f returned y with shape (3,), expected (1,)"),
            ("return ['a']", Outcome.INVALID, "f returned y with dtype <U1, expected float64"),
            ("return [float('inf')]", Outcome.INVALID, "y holds a number that is not finite"),
            ("return [2e6]", Outcome.INVALID, "y holds a number above 1000000.0"),
            ("raise KeyError('k')", Outcome.CRASH, "KeyError: 'k' (solution.py line 3)"),
            ("x[0] = 1", Outcome.CRASH, "copy first"),
            ("return np.empty(1 << 36)", Outcome.MEMORY, "MemoryError"),
        ],
    )
    def test_says_what_came_and_what_was_expected(self, body: str, outcome: Outcome, text: str) -> None:
        """A refused answer or an exception comes back in one line with the reason."""
        result, seen, _ = play(f"import numpy as np\ndef f(x):\n    {body}\n")
        assert result.outcomes == [outcome]
        assert text in result.messages[0]
        assert len(result.messages[0]) <= 600
        assert seen == []

    def test_missing_function(self) -> None:
        """A function that is not there is invalid and named."""
        result, _, _ = play("def other(): pass\n", 2)
        assert result.outcomes == [Outcome.INVALID] * 2
        assert "no function f" in result.messages[1]

    def test_dialogue_hears_which_entries_exist_and_may_refuse(self) -> None:
        """The dialogue gets the entry points found in the child; its ValueError makes every variant invalid."""
        heard = []

        def dialogue(entries: frozenset[str]) -> Dialogue:
            heard.append(entries)
            if "fit" not in entries:
                raise ValueError("define fit and predict")
            return (yield Round(()))

        result, _, _ = play("def f(): pass\nh = 3\ng = len\n", 2, dialogue=dialogue)
        assert heard == [frozenset({"f", "g"})]
        assert result.messages == {0: "define fit and predict", 1: "define fit and predict"}

    def test_broken_module_fails_everyone(self) -> None:
        """A file that does not load is one outcome for all its variants, with the line."""
        result, _, _ = play("import numpy\n1 / 0\n", 2)
        assert result.outcomes == [Outcome.CRASH] * 2
        assert result.messages[1] == "ZeroDivisionError: division by zero (solution.py line 2)"


class TestRounds:
    def expected(self, k: int) -> tuple[np.ndarray, np.ndarray]:
        draw = np.random.default_rng(3).random()
        return np.arange(k) * 100 + 3 + draw, np.arange(k) * 100 + 20 + draw

    def test_state_stays_in_the_child_between_rounds(self) -> None:
        """What fit keeps is there in later rounds, per variant, with the arrays of that round only."""
        _, seen, _ = play(FIT_PREDICT, 4, dialogue=fit_predict)
        first, second = self.expected(4)
        assert np.array_equal(seen[0]["first"][:, 0], first)
        assert np.array_equal(seen[0]["second"][:, 0], second)

    @pytest.mark.parametrize(
        "end", ["while True: pass", "import os; os._exit(0)", "import ctypes; ctypes.string_at(0)"]
    )
    @pytest.mark.parametrize("when", [3, 20])
    def test_neighbours_of_a_hang_or_death_keep_their_answers(self, end: str, when: int) -> None:
        """A variant that hangs or dies in some round loses; state is rebuilt and nobody else's answer changes."""
        source = FIT_PREDICT.replace(
            "    return np.array",
            f"    if state['who'] == 2 and rows.sum() == {when}:\n        {end}\n    return np.array",
        )
        result, seen, lived = play(source, 5, dialogue=fit_predict)
        bad = Outcome.TIMEOUT if "while" in end else Outcome.CRASH
        assert result.outcomes == [OK, OK, bad, OK, OK]
        alive = np.array([1, 1, 0, 1, 1], bool)
        assert np.array_equal(lived[0], alive)
        first, second = self.expected(5)
        assert np.array_equal(seen[0]["first"][alive, 0], first[alive])
        assert np.array_equal(seen[0]["second"][alive, 0], second[alive])
        assert seen[0]["second"][2, 0] == 0.0

    @pytest.mark.parametrize(
        "end", ["os.close(3)", "threading.Thread(target=lambda: (time.sleep(0.1), os._exit(1))).start()"]
    )
    def test_a_death_in_each_replay_ends_as_one_crash(self, end: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """A variant that ends its child after its own answer, by a hang-up or while a later one runs, spoils every
        replay of that round: it is found in isolation, after few children, and nobody else's answer changes."""
        forks, fork = [], process.Zygote.fork

        def counted(zygote: process.Zygote) -> process.Child:
            forks.append(1)
            assert len(forks) < 20
            return fork(zygote)

        monkeypatch.setattr(process.Zygote, "fork", counted)
        fit = f"    if params['who'] == 1:\n        {end}\n    time.sleep(0.3 * (params['who'] == 3))\n    return {{"
        source = "import os, threading, time\n" + FIT_PREDICT.replace("    return {", fit)
        source = source.replace("    return np", "    time.sleep(0.2)\n    return np")
        result, seen, lived = play(source, 4, dialogue=fit_predict)
        assert result.outcomes == [OK, Outcome.CRASH, OK, OK]
        alive = np.array([1, 0, 1, 1], bool)
        assert np.array_equal(lived[0], alive)
        assert np.array_equal(seen[0]["second"][alive, 0], self.expected(4)[1][alive])

    def test_dead_variants_stay_dead_in_later_cases(self) -> None:
        """The first outcome of a variant stays; later cases do not run it and its rows are zero."""
        source = "def f(x, *, params, rng):\n    return [1 / params['who']]\n"
        result, seen, lived = play(source, 3, cases=3)
        assert result.outcomes == [Outcome.CRASH, OK, OK]
        assert [a.tolist() for a in lived] == [[False, True, True]] * 3
        assert [o["y"][0, 0] for o in seen] == [0.0] * 3

    def test_globals_of_one_job_are_gone_in_the_next(self) -> None:
        """Every job starts in a fresh child."""
        source = "n = [0]\ndef f(x):\n    n[0] += 1\n    return [n[0]]\n"
        assert [play(source)[1][0]["y"][0, 0] for _ in range(2)] == [1.0, 1.0]

    def test_slow_variants_have_a_limit_each(self) -> None:
        """The wall limit is per variant: together they may take longer."""
        source = "import time\ndef f(x):\n    time.sleep(0.4)\n    return [1.0]\n"
        result, _, _ = play(source, 4)
        assert result.outcomes == [OK] * 4
        assert result.wall_s > 1.0

    def test_threads_that_burn_cpu_meet_the_cpu_limit(self) -> None:
        """CPU is limited beside wall time: a sleeper within its wall limit is stopped if it burns too much."""
        source = "def f(x):\n    while True: pass\n"
        with Sandbox(Limits(wall_s=30.0, cpu_s=0.3)) as sandbox:
            result, _, _ = play(source, sandbox=sandbox)
        assert result.outcomes == [Outcome.TIMEOUT]
        assert result.wall_s < 25.0


@pytest.mark.parametrize("tier", TIERS)
class TestLostZygote:
    def test_killed_between_jobs(self, tier: str) -> None:
        """A zygote that was killed while idle is started again and the job runs."""
        with Sandbox(Limits(wall_s=5.0), tier=tier) as sandbox:
            before = sandbox.zygote_pid
            os.kill(before, signal.SIGKILL)
            result, seen, _ = play("def f(x):\n    return [x.sum()]\n", 2, sandbox=sandbox)
            assert result.outcomes == [OK, OK]
            assert seen[0]["y"][:, 0].tolist() == [6.0, 6.0]
            assert sandbox.zygote_pid != before

    def test_killed_in_the_middle(self, tier: str) -> None:
        """A zygote killed during a job is replaced; every case is delivered once and no variant is blamed."""
        source = "import time\ndef f(x, *, params):\n    time.sleep(0.1)\n    return [params['who']]\n"
        with Sandbox(Limits(wall_s=20.0), tier=tier) as sandbox:
            pid = sandbox.zygote_pid
            timer = threading.Timer(0.55, os.kill, (pid, signal.SIGKILL))
            timer.start()
            result, seen, _ = play(source, 4, sandbox=sandbox, cases=3)
            timer.join()
            assert sandbox.zygote_pid != pid
        assert result.outcomes == [OK] * 4
        assert [o["y"][:, 0].tolist() for o in seen] == [[0, 1, 2, 3]] * 3

    def test_killed_again_and_again(self, tier: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """A zygote that dies twice within one job ends the job with WorkerDied."""
        with Sandbox(Limits(wall_s=20.0), tier=tier) as sandbox:
            fork = process.Zygote.fork

            def kill_after(zygote: process.Zygote) -> process.Child:
                child = fork(zygote)
                os.kill(zygote.pid, signal.SIGKILL)
                return child

            monkeypatch.setattr(process.Zygote, "fork", kill_after)
            with pytest.raises(WorkerDied, match="twice"):
                play("import time\ndef f(x):\n    time.sleep(9)\n", sandbox=sandbox)

    def test_child_dies_with_the_scorers_end_of_the_wire(self, tier: str) -> None:
        """When the scorer goes away, zygote and child are gone too, however deaf the child is."""
        with Sandbox(Limits(wall_s=20.0), tier=tier) as sandbox:
            child = sandbox.zygote.fork()
            sandbox.zygote.control.close()
            sandbox.zygote.process.wait(10)
            deadline = time.monotonic() + 10
            while child.hear(0.1) != b"" and time.monotonic() < deadline:
                pass
            assert child.hear(0.0) == b""
            child.close()


class TestZygote:
    def test_fails_closed_without_a_filter(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """An architecture without shipped filters gets an error instead of a weaker sandbox."""
        monkeypatch.setattr(platform, "machine", lambda: "m68k")
        with pytest.raises(NoProtection, match="m68k"):
            Sandbox(Limits())

    def test_fails_closed_when_a_layer_cannot_be_put_up(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A zygote whose filter the kernel refuses reports it and never serves."""
        monkeypatch.setattr(walls, "filters", lambda: ["ff" * 8, "ff" * 8])
        with pytest.raises(NoProtection, match="could not start"):
            Sandbox(Limits())

    def test_unknown_names_are_refused(self) -> None:
        """Tier, profile and layer names are checked."""
        for wrong in ({"tier": "vm"}, {"profile": "cobol"}, {"off": frozenset({"luck"})}):
            with pytest.raises(UsageError, match="expected"):
                Sandbox(Limits(), **wrong)

    def test_tier_none_plays_the_same(self) -> None:
        """Without layers the answers are the same."""
        _, seen, _ = play(FIT_PREDICT, 3, dialogue=fit_predict, sandbox=box(tier="none"))
        _, again, _ = play(FIT_PREDICT, 3, dialogue=fit_predict)
        assert np.array_equal(seen[0]["second"], again[0]["second"])


class TestIdentity:
    def test_no_capability_is_left(self) -> None:
        """As root and as a user, the child has no capability, cannot gain one, and its identity is recorded."""
        source = """
def f(x):
    fields = dict(line.split(":", 1) for line in open("/proc/self/status"))
    sets = [int(fields[name], 16) for name in ("CapEff", "CapPrm", "CapInh", "CapAmb")]
    return [sum(sets), int(fields["NoNewPrivs"]), int(fields["Uid"].split()[1])]
"""

        def dialogue(entries: frozenset[str]) -> Dialogue:
            return (yield Round((Call("f", ("x",), returns=(Array("y", "f8", (3,)),)),)))

        sandbox = box(frozenset({"landlock"}))
        result, seen, _ = play(source, dialogue=dialogue, sandbox=sandbox)
        assert result.outcomes == [OK], result
        record = sandbox.protection
        assert seen[0]["y"][0].tolist() == [0, 1, record["uid"]]
        root = os.geteuid() == 0
        expected = {"uid dropped": root, "uid kept, capabilities dropped": root, "uid kept, ordinary user": not root}
        assert expected[record["identity"]]
        assert (record["identity"] == "uid dropped") == (record["uid"] != os.geteuid())

    def test_the_uid_is_kept_only_for_an_interpreter_behind_a_private_folder(self) -> None:
        """A file counts as open to all if every folder above it may be entered by anyone."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "python")
            path.touch(0o755)
            os.chmod(folder, 0o755)
            assert walls.open_to_all(path)
            os.chmod(folder, 0o700)
            assert not walls.open_to_all(path)


class TestFilters:
    @pytest.mark.parametrize(("machine", "audit"), [("x86_64", 0xC000003E), ("aarch64", 0xC00000B7)])
    def test_each_filter_is_for_its_architecture_alone(self, machine: str, audit: int) -> None:
        """All load the architecture first and kill on any other: no 32-bit or foreign door beside the list."""
        for name in ("stage1", "stage2", "room", "full"):
            code = (walls.HERE / "filters" / f"{machine}-{name}.bpf").read_bytes()
            words = list(struct.iter_unpack("<HBBI", code))
            assert words[0] == (0x20, 0, 0, 4)  # A = seccomp_data.arch
            op, same, other, value = words[1]
            assert (op, value) == (0x15, audit)  # if A != this architecture ...
            target = words[2 + other] if same == 0 else words[2 + same]
            assert target == (0x06, 0, 0, 0x80000000)  # ... return SECCOMP_RET_KILL_PROCESS

    def test_shipped_bytes_are_what_the_tool_writes(self) -> None:
        """The filters in the package come from tools/make_seccomp.py as it stands (where libseccomp is installed)."""
        pytest.importorskip("pyseccomp", reason="development tool", exc_type=Exception)
        tool = Path(__file__).parents[2] / "tools" / "make_seccomp.py"
        scope = runpy.run_path(str(tool))
        for machine in scope["ARCHES"]:
            for name, make in scope["FILTERS"].items():
                shipped = (walls.HERE / "filters" / f"{machine}-{name}.bpf").read_bytes()
                assert scope["export"](make(machine)) == shipped


class TestPublicMemory:
    def test_is_sealed(self) -> None:
        """Nobody can write to the memory or change its size, the scorer included."""
        with PublicMemory.of({"x": X, "empty": np.zeros((0, 3)), "text": np.array(["ab", "c"])}) as public:
            with pytest.raises(OSError):  # noqa: PT011 (EBADF or EPERM, by kernel)
                os.pwrite(public.fd, b"x", 0)
            writable = os.open(f"/proc/self/fd/{public.fd}", os.O_RDWR)
            for act in (lambda: os.pwrite(writable, b"x", 0), lambda: os.ftruncate(writable, 1)):
                with pytest.raises(PermissionError):
                    act()
            os.close(writable)

    def test_objects_are_refused(self) -> None:
        """An array of Python objects would need pickle, so it is refused."""
        with pytest.raises(UsageError, match="dtype object"):
            PublicMemory.of({"x": np.array([{}])})

    def test_every_kind_of_array_arrives(self) -> None:
        """Names, dtypes, shapes and values are the same on the other side."""
        source = """
import numpy as np
def f(a, b, c):
    assert a.shape == (2, 3) and a.dtype == np.float32 and not a.flags.writeable
    assert b.shape == (0, 3) and c.tolist() == ["ab", "ö"]
    return [a.sum()]
"""

        def dialogue(entries: frozenset[str]) -> Dialogue:
            return (yield Round((Call("f", ("a", "b", "c"), returns=Y),)))

        arrays = {"a": np.ones((2, 3), np.float32), "b": np.zeros((0, 3)), "c": np.array(["ab", "ö"])}
        with PublicMemory.of(arrays) as public:
            job = Job({"solution.py": source.encode()}, SPACE, np.zeros((1, 1), np.uint8), ["f"], True)
            result = box().run(job, [Case(public, 0, dialogue)], lambda i, o, a: None)
        assert result.outcomes == [OK], result

    def test_texts_and_items_are_what_their_json_says(self) -> None:
        """A text is handed over decoded, its own copy for each variant; a function is called once for each item, and a
        wrong kind of answer for one of them is an invalid answer."""
        source = """
def f(words, *, params):
    words.append(params["who"])
    return words
def g(state, word, number):
    return len(state) + number if state[-1] < 2 else "much"
"""

        def dialogue(entries: frozenset[str]) -> Dialogue:
            items = np.frombuffer(b'[["a", 1], ["b", 2.5]]', np.uint8)
            yield Round((Call("f", ("words",), keep="state", texts=("words",)),))
            said = (Array("y", "f8", (2,)),)
            return (yield Round((Call("g", ("state",), returns=said, items="items"),), {"items": items}))

        with PublicMemory.of({"words": np.frombuffer(b'["x", "\xc3\xb6"]', np.uint8)}) as public:
            job = Job({"solution.py": source.encode()}, SPACE, np.arange(3, dtype=np.uint8)[:, None], ["f", "g"], True)
            seen: list[Any] = []
            result = box().run(job, [Case(public, 0, dialogue)], lambda i, o, a: seen.append(o["y"]))
        assert result.outcomes == [OK, OK, Outcome.INVALID], result
        assert seen[0][:2].tolist() == [[4.0, 5.5], [4.0, 5.5]]
