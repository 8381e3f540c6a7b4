"""Whatever numbers a task returns, its run stays readable: bad ones are refused where they arise, in one line."""

import json
import math
import re
import textwrap

import numpy as np
import pytest

from toprope.errors import UsageError
from toprope.executors.messages import Done
from toprope.run.beginning import anchors_of
from toprope.tasks import registry
from toprope.tasks.new import new
from toprope.types import BlockResult, Outcome

NASTY = [
    0.0, -0.0, 0.5, 5e-324, 1e-45, -1e-38, 1e9, -1e9, 1.0000001e9, -1e30, -3e38, 1e39, -1e39, 1.7e308, math.inf,
    -math.inf, math.nan,
]  # fmt: skip
WAYS = ["raise ValueError('a surrogate \\ud800')", "return None", "return 'text'", "return np.zeros(99)",
        "return np.full(len(at), 1j)", "return [10 ** 400] * len(at)", "return at > 3"]  # fmt: skip


def body(text: str) -> str:
    return textwrap.indent(textwrap.dedent(text), " " * 8)


@pytest.fixture
def own(tmp_path, monkeypatch):
    """Makes a task of one's own: what its score() does with a candidate's number `at`, and its floor and ceiling."""
    monkeypatch.delenv("TOPROPE_TASKS", raising=False)

    def make(name: str, score: str, anchors: str = "floor=0.5, ceiling=1.0", starter: str = ""):
        folder = tmp_path / name
        new(folder, None)
        text = (folder / "task.py").read_text()
        space = text[text.index("    space = Space([") : text.index("    # baselines that are")]
        text = text.replace(space, '    space = Space([linear("at", 0, 63, 64, 2)])\n')
        points = text[text.index("    points: ClassVar") : text.index("    # wrong gold")]
        text = text.replace(points, "    points: ClassVar = {}\n    sources: ClassVar = {}\n")
        text = text.replace("floor=0.5, ceiling=1.0", anchors)
        old = text[text.index("        belief = outputs") : text.index("    def null")]
        said = f"        at = np.rint(64 * outputs['belief'][:, 0]).astype(int)\n{body(score)}\n"
        (folder / "task.py").write_text(text.replace(old, said))
        code = "import numpy as np\n\ndef believe(votes, *, params):\n    return np.full(300, params['at'] / 64)\n"
        (folder / "starter" / "solution.py").write_text(starter or code)
        return folder

    return make


@pytest.mark.slow
def test_every_number_a_task_can_return_leaves_a_readable_run(own, cli, tmp_path, monkeypatch):
    """A score that no ledger can hold makes its candidate invalid and says so; resume, report, export and verify read
    the run."""
    table = "[" + ", ".join(f"float('{x}')" for x in NASTY) + "]"
    ways = "".join(f"if (at == {len(NASTY) + i}).any(): {way}\n" for i, way in enumerate(WAYS))
    task = own(
        "nasty", f"{ways}table = np.array({table})\nreturn np.where(at < len(table), table[at % len(table)], 0.6)"
    )
    run = tmp_path / "run"
    monkeypatch.setenv("TOPROPE_TASKS", str(task))
    done = cli.json("climb", task, "--climber", "random", "--experiments", 400, "--run", run)
    rows = {r["params"]["at"]: r for r in cli.export(run)["experiments"]}
    assert len(rows) == 64
    for at, value in enumerate(NASTY):
        fits = abs(value) <= 1e9
        assert rows[at]["outcome"] == ("ok" if fits else "invalid"), (value, rows[at])
        assert fits or "expected a finite number between -1e+09 and 1e+09" in rows[at]["message"]
    for at in range(len(NASTY), len(NASTY) + len(WAYS) - 1):  # the last one is a number after all
        assert rows[at]["outcome"] == "invalid", rows[at]
    assert rows[len(NASTY) + len(WAYS) - 1]["outcome"] == "ok"
    assert done["outcomes"] == {"invalid": len([r for r in rows.values() if r["outcome"] != "ok"])}
    assert cli.run("resume", run).returncode == 0
    cli.json("unseal", run)
    assert cli.run("report", run).returncode == 0
    assert cli.json("verify", run)["chain_ok"]


@pytest.mark.parametrize(
    ("anchors", "said"),
    [
        ("floor=0.5, ceiling=0.4", "lie -0.1 above its floors"),
        ("floor=0.5, ceiling=float('nan')", "has a ceiling nan"),
        pytest.param("floor=float('-inf'), ceiling=1.0", "has a floor -inf", marks=pytest.mark.slow),
        pytest.param("floor=0.5, ceiling=1e300", r"has a ceiling 1e+300", marks=pytest.mark.slow),
        ("floor=0.5, ceiling='high'", "draw 0 of dev of task own/flat-v1 cannot be made: ValueError"),
    ],
)
def test_anchors_that_make_no_value_are_one_line(own, cli, tmp_path, anchors, said):
    """Before a candidate is scored, with the task's name and what is wrong."""
    task = own("flat", "return np.full(len(at), 0.6)", anchors)
    done = cli.run("climb", task, "--experiments", 40, "--run", tmp_path / "run")
    assert done.returncode == 2
    line = done.stderr.strip().splitlines()[-1]
    assert said in line, done.stderr
    assert "Traceback" not in done.stderr


class Scorers:
    """An executor without processes, whose draws have these anchors and whose candidates end like this."""

    def __init__(self, floor: float, ceiling: float, outcome: Outcome = Outcome.OK, message: str = "") -> None:
        self._anchors, self._outcome, self._message = (floor, ceiling), outcome, message

    def load(self, tree, space):
        return tree.digest, space.digest

    def run(self, works):
        for work in works:
            n = len(work.block.draws)
            scores = np.full((1, n), 0.0 if self._outcome is Outcome.OK else np.nan)
            result = BlockResult(scores, [self._outcome], {0: self._message} if self._message else {}, 0.0, 0.0)
            floors, ceilings = (np.full(n, a) for a in self._anchors)
            yield Done(work.id, result, floors, ceilings, np.zeros(n, np.int64))


@pytest.mark.parametrize("gap", [0.0, 1e-10, -0.1])
def test_a_gap_that_is_none_is_no_anchor(gap):
    """Whatever scorers return: the mean gap over dev decides, and the line has it."""
    task, scorers = registry.load("testing/coin-v1"), Scorers(0.5, 0.5 + gap)
    with pytest.raises(UsageError, match=re.escape(f"its ceilings lie {gap:g} above its floors on average")):
        anchors_of("any/task-v1", scorers, task.starter(), task.space, 12)


def test_a_starter_that_fails_makes_no_anchors():
    """With its outcome and its own message, and with the command to try it with."""
    task, scorers = registry.load("testing/coin-v1"), Scorers(0.0, 1.0, Outcome.CRASH, "SyntaxError in line 1")
    said = "the starter of task any/task-v1 fails on dev, crash: SyntaxError in line 1"
    with pytest.raises(UsageError, match=f"{said}.*`toprope submit any/task-v1 DIR`"):
        anchors_of("any/task-v1", scorers, task.starter(), task.space, 12)


@pytest.mark.slow
def test_a_starter_that_fails_ends_the_climb_at_once(own, cli, tmp_path):
    """With the outcome and the candidate's own message; nothing is climbed."""
    task = own("bad-start", "return at / 64", starter="def believe(votes, *, params) return")
    done = cli.run("climb", task, "--experiments", 60, "--run", tmp_path / "run")
    assert done.returncode == 2
    assert "the starter of task own/bad-start-v1 fails on dev, crash: SyntaxError" in done.stderr


@pytest.mark.slow
def test_a_climb_in_which_only_the_starter_runs_is_ended(own, cli, tmp_path):
    """After a few dozen failures, with their number and kind; the run stays readable."""
    code = "import numpy as np\n\ndef believe(votes, *, params):\n    assert params['at'] == 2\n"
    code += "    return np.full(300, .4)\n"
    task, run = own("one", "return at / 64", starter=code), tmp_path / "run"
    done = cli.run("climb", task, "--experiments", 1000, "--run", run)
    assert done.returncode == 2
    assert "different candidates failed (" in done.stderr
    assert "crash), all but the starter" in done.stderr
    outcomes = {e["outcome"] for e in json.loads(cli.run("export", run).stdout)["experiments"]}
    assert outcomes == {"ok", "crash"}
