"""Draws that differ between processes are found by `toprope check`, and the cause is named."""

import itertools

import changed
import msgspec
import pytest

from toprope.assay.fit import elsewhere
from toprope.assay.fit.elsewhere import repeats_elsewhere
from toprope.tasks import registry

pytestmark = pytest.mark.e2e

TURN = "truth = np.roll(truth, {})"
CASES = {
    "set": ("{'ann', 'bob', 'cyd', 'dan', 'eve', 'fay'}", "the hash seed"),
    "pid": ("os.getpid()", "the process itself"),
    "clock": ("time.time_ns() // 1000 % 999983", "the process itself"),
    "zone": ("time.localtime(86400).tm_hour", "the time zone"),
    "locale": ("len(locale.setlocale(locale.LC_ALL, ''))", "the locale"),
    "environment": ("len(os.environ['LANG'])", "the locale"),
    "folder": ("len(open('words.txt').read())", "the working directory"),
}
FAST = ("set",)  # of the others the file that is read at import, and that the cause is told, are quick


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("TOPROPE_TASKS", "")
    monkeypatch.setenv("LANG", "en_GB.UTF-8")
    monkeypatch.delenv("LC_ALL", raising=False)
    monkeypatch.setenv("TZ", "HERE-3")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "words.txt").write_text("some words")
    return tmp_path / "task"


@pytest.mark.parametrize("cause", elsewhere.CAUSES)
def test_the_cause_is_the_setting_that_alone_changes_the_draws(monkeypatch, cause):
    """Each setting, where a draw depends on it and on nothing else; a process that never repeats is its own cause."""
    made, wanted = itertools.count(), elsewhere.CAUSES[cause]

    def made_in(_, place):
        away = place.away and wanted.away
        said = {k: v for k, v in place.environment.items() if wanted.environment.get(k) == v}
        return {"public part of draw 0 of dev": repr((away, said, next(made) if wanted == elsewhere.HERE else 0))}

    monkeypatch.setattr(elsewhere, "_made_in", made_in)
    found = repeats_elsewhere("any/task-v1", 1)
    assert (found.ok, found.why.endswith(f"it depends on {cause}")) == (False, True), found.why


@pytest.mark.parametrize("name", [n if n in FAST else pytest.param(n, marks=pytest.mark.slow) for n in CASES])
def test_what_a_draw_depends_on_is_named(place, name):
    """A draw that depends on more than split, index and seed is refused; which it is and the cause are told."""
    value, cause = CASES[name]
    lines = [f"order = list({value})", "shift = sum(i * ord(n[0]) for i, n in enumerate(order))"]
    lines = lines if name == "set" else [f"shift = {value}"]
    task = registry.find(str(changed.drawing(place, *lines, TURN.format("shift"))))
    found = repeats_elsewhere(task, 2)
    assert not found.ok
    assert "of draw 0 of dev differs between processes" in found.why
    assert f"it depends on {cause}" in found.why


def test_a_file_that_is_read_at_import_is_found(place):
    """A task that loads only in one working directory is refused with what the process elsewhere said."""
    task = registry.find(str(changed.drawing(place, top="WORDS = open('words.txt').read()")))
    found = repeats_elsewhere(task, 2)
    assert not found.ok
    assert "the working directory" in found.why
    assert "FileNotFoundError" in found.why


@pytest.fixture
def no_cause(monkeypatch):
    """Seven processes less, where the cause is not the matter."""
    monkeypatch.setattr(elsewhere, "_cause", lambda *_: "")


@pytest.mark.slow
def test_gold_and_scores_are_compared_too(place, no_cause):
    """Gold that differs behind equal inputs, and a score that differs for equal draws and answers, are told as such."""
    task = changed.written(place, task_py=("private=truth", "private=np.roll(truth, hash('a') % 7)"))
    assert "gold, floor or ceiling of draw 0 of dev" in repeats_elsewhere(registry.find(str(task)), 2).why
    changed.edit(task / "task.py", "np.roll(truth, hash('a') % 7)", "truth")
    changed.edit(task / "task.py", "return np.asarray(np.mean(", "return np.random.random() + np.asarray(np.mean(")
    found = repeats_elsewhere(registry.find(str(task)), 2)
    assert found.why.startswith("score of one answer of draw 0 of dev differs")


def test_only_what_differs_is_named(place, no_cause):
    """Where hidden draws alone depend on the process, the first of them is named."""
    task = changed.drawing(place, "if split == 'val':", "    truth = np.roll(truth, hash('a') % 97)")
    found = repeats_elsewhere(registry.find(str(task)), 2)
    assert "public part of draw 0 of val differs" in found.why


def test_a_task_that_prints_is_compared_all_the_same(place):
    """What a task prints does not reach the answer of the process that makes its draws."""
    task = changed.drawing(place, "print('debug')", "os.write(1, b'raw')", top="print('at import')")
    found = repeats_elsewhere(registry.find(str(task)), 2)
    assert found.ok, found.why


@pytest.mark.slow
@pytest.mark.parametrize("task", registry.installed())
def test_shipped_tasks_are_the_same_everywhere(task, tmp_path, monkeypatch):
    """Every shipped task passes, also with a vault named by a relative path."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TOPROPE_VAULT", "vault")
    found = repeats_elsewhere(task, 2)
    assert found.ok, found.why


def test_scorers_of_a_run_that_disagree_end_it(place, cli, tmp_path):
    """A climb whose dev scorers make different draws ends at its start, in one line, before an experiment is made."""
    task = changed.drawing(place, TURN.format("os.getpid()"))
    done = cli.run("climb", task, "--experiments", 40, "--workers", 2, "--run", tmp_path / "run", "--json")
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = [x for x in done.stderr.splitlines() if x.startswith("toprope:")]
    assert "dev draws differ between two scorers" in line
    assert "`toprope check own/changed-v1` names the cause" in line


@pytest.mark.slow
def test_check_refuses_such_a_task(place, cli):
    """`toprope check` exits 1 and says which draws differ and why."""
    task = changed.drawing(place, TURN.format("hash('a') % 97"))
    done = cli.run("check", task, "--json")
    assert done.returncode == 1, done.stderr
    row = next(c for c in msgspec.json.decode(done.stdout)["checks"] if c["name"] == "draws repeat elsewhere")
    assert "the hash seed" in row["why"]
