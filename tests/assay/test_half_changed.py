"""A template that was changed in part only: `toprope check` says what is left to be done."""

import changed
import msgspec
import numpy as np
import pytest

from toprope.assay.fit.card import card
from toprope.assay.fit.differences import differences
from toprope.assay.fit.draws import anchors
from toprope.errors import UsageError
from toprope.referee.panel import Column
from toprope.tasks import registry
from toprope.tasks.new import leftovers

pytestmark = pytest.mark.e2e


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    """Every test has a folder of its own with the same id."""
    monkeypatch.setenv("TOPROPE_TASKS", "")
    monkeypatch.delitem(__import__("sys").modules, "toprope_own_own_changed_v1", raising=False)


def task_in(folder):
    return registry.load(registry.find(str(folder)))


def rows(found):
    return {row.name: row for row in found}


@pytest.mark.slow
def test_a_half_changed_task_is_not_admitted(tmp_path, cli):
    """One run of `check` tells which baseline fails and why, the clip that cuts, the template's words."""
    folder = changed.written(tmp_path / "task", task_toml=("clip = 0.2 ", "clip = 0.01 "))
    changed.edit(folder / "baselines/dawid_skene/solution.py", "def believe", "def beleive")
    changed.edit(folder / "task.py", "skill[leader] = 0.6", "skill[leader] = 0.61")
    done = cli.run("check", folder, "--json")
    assert done.returncode == 1, done.stderr
    seen = {c["name"]: c for c in msgspec.json.decode(done.stdout)["checks"]}
    assert {n for n, c in seen.items() if not c["ok"]} - {"spread"} == {"baselines run", "draws cut", "its own words"}
    assert "dawid_skene: invalid, solution.py must define believe" in seen["baselines run"]["why"]
    assert "set metric.clip to" in seen["draws cut"]["why"]
    assert "title, area, threat_model, known_hacks, citation" in seen["its own words"]["why"]


def test_words_of_the_template_are_the_templates_as_long_as_its_code_is(tmp_path):
    """Another space or id leaves the template's words true; other draws do not; an area may stay."""
    folder = changed.written(tmp_path / "task", task_py=("0.0, 1.0, 21, 0.0", "0.0, 1.0, 11, 0.0"))
    assert leftovers(folder) == []
    changed.edit(folder / "task.py", "0.52, 0.85", "0.55, 0.85")
    assert leftovers(folder) == ["title", "area", "threat_model", "known_hacks", "citation"]
    for name in ("title", "threat_model", "citation"):
        changed.edit(folder / "task.toml", f'{name} = "', f'{name} = "Mine. ')
    assert leftovers(folder) == ["area", "known_hacks"]
    changed.edit(folder / "task.toml", 'known_hacks = ["', 'known_hacks = ["Mine. ')
    assert leftovers(folder) == []


def test_an_entry_that_nobody_defines_is_named(tmp_path):
    """A leftover entry is refused; w2s may offer a way that no baseline goes."""
    folder = changed.written(tmp_path / "task", task_toml=('["believe"]', '["probe", "believe"]'))
    row = rows(card(task_in(folder)))["entries"]
    assert not row.ok
    assert "names probe" in row.why
    assert rows(card(registry.load("w2s/probe-v1")))["entries"].ok


def test_entries_that_the_dialogue_refuses_are_told_with_its_words(tmp_path):
    """A task whose dialogue asks for what `entries` does not list is refused, with what dialogue() said."""
    folder = changed.written(tmp_path / "task", task_py=('if "believe" not in', 'if "probe" not in'))
    row = rows(card(task_in(folder)))["entries"]
    assert not row.ok
    assert "refuses a candidate with all `entries` of task.toml (believe): solution.py must define" in row.why


def test_a_task_without_a_honeypot_is_advised_and_admitted(tmp_path):
    """The row says that nothing is planted and how to plant something; it refuses nothing."""
    folder = changed.written(tmp_path / "task", task_py=("    honeypot = Pairs(", "    _unused = Pairs("))
    row = rows(card(task_in(folder)))["honeypot"]
    assert (row.ok, row.admits) == (False, True)
    assert "`honeypot = Pairs(" in row.why


def test_a_source_without_a_folder_is_named(tmp_path):
    """`sources` that name a missing folder are told as such."""
    folder = changed.written(tmp_path / "task", task_py=('"constant": "null', '"absent": "null'))
    with pytest.raises(UsageError, match="`sources` names absent, which has no folder baselines/absent"):
        task_in(folder).baselines()


@pytest.mark.parametrize(
    ("anchors_", "word"),
    [
        ("floor=0.5, ceiling=0.5", "the ceiling is the floor on every draw"),
        ("floor=1.0, ceiling=0.5", "below the floor"),
        ("floor=0.5, ceiling=0.5 + 0.5 * (index > 3)", "4 of 48 draws have no gap"),
    ],
)
def test_a_gap_that_is_none_is_told(tmp_path, anchors_, word):
    """Floor and ceiling that leave no room are told in words; `check` then stops, because nothing has a value."""
    folder = changed.written(tmp_path / "task", task_py=("floor=0.5, ceiling=1.0", anchors_))
    row = rows(anchors(task_in(folder)))["gap"]
    assert word in row.why
    assert row.ok is ("4 of 48" in word)


def test_a_task_without_a_gap_ends_in_a_row(tmp_path, cli):
    """`check` of a task whose ceiling is its floor exits 1 with that row, and with no traceback."""
    folder = changed.written(tmp_path / "task", task_py=("ceiling=1.0", "ceiling=0.5"))
    done = cli.run("check", folder)
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    assert "the ceiling is the floor on every draw" in done.stdout


def columns(*means, spread=0.02):
    """Candidates whose scores differ by so much, on 48 draws between 0 and 1."""
    rng = np.random.default_rng(0)
    nothing, ones = np.zeros(48), np.ones(48)
    return [Column(m + spread * rng.standard_normal(48), nothing, ones, nothing.astype(int)) for m in means]


def test_good_candidates_are_not_to_be_cut_everywhere():
    """More than a third of the draws cut between two good candidates is refused; a bad candidate may be cut."""
    task = registry.load("w2s/probe-v1")  # its clip is .1
    own, good, bad = columns(0.5, 0.55, 0.1)
    assert rows(differences(task, own, {"good": good, "bad": bad}, None))["draws cut"].ok
    own, good, far = columns(0.5, 0.55, 0.8)
    row = rows(differences(task, own, {"good": good, "far": far}, None))["draws cut"]
    assert not row.ok
    assert "far and good" in row.why


@pytest.mark.parametrize(("spread", "ok"), [(0.005, False), (0.023, True), (0.2, False)])
def test_the_spread_is_compared_with_what_is_measured(spread, ok):
    """A metric.spread that is more than three times off is advised against, with the command that measures it."""
    own, good = columns(0.5, 0.55, spread=spread / np.sqrt(2))
    row = rows(differences(registry.load("w2s/probe-v1"), own, {"good": good}, None))["spread"]
    assert (row.ok, row.admits) == (ok, True)
    assert ("toprope reference w2s/probe-v1 --spread 100" in row.why) is not ok
