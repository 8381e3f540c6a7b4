"""The Python face, end to end: functions return what the command line prints, and nothing is lost on the way."""

import subprocess
import sys

import numpy as np
import pytest

import toprope
from toprope.errors import UsageError
from toprope.journal.ledger import read_entries
from toprope.journal.records import record
from toprope.testing.coin import SOURCE

pytestmark = pytest.mark.e2e

COIN = "testing/coin-v1"
ASKED = {"seed": 7, "experiments": 40, "rehearsal_secret": "api", "workers": 1}
CHANGES = {"run", "cost", "ledger", "disclosed"}  # from run to run: names, times, and whether an answer was late


class Ear:
    def __init__(self):
        self.heard = []

    def hear(self, record):
        self.heard.append(record)


class Broken(Ear):
    def hear(self, record):
        super().hear(record)
        raise RuntimeError("as a guest may")


class Interrupting(Ear):
    """Somebody presses Ctrl-C at the first barrier."""

    def hear(self, record):
        if isinstance(record, toprope.Generation):
            raise KeyboardInterrupt


class Last:
    """Proposes points of the space from the end."""

    def __init__(self, space, seed):
        self.space, self.n = space, 0

    def ask(self, n):
        rows = np.array([self.space.sizes] * n, dtype=np.uint8)
        rows[:, 0] -= np.arange(self.n, self.n + n, dtype=np.uint8)
        self.n += n
        return rows

    def tell(self, results): ...


@pytest.fixture(scope="module")
def climbed(tmp_path_factory):
    """A whole run in a vault of its own, with a guest that fails, and one that hears all."""
    folder = tmp_path_factory.mktemp("climbed")
    broken, ear, seen = Broken(), Ear(), []
    places = {"run": folder / "run", "vault": folder / "vault"}
    history = toprope.climb(
        COIN, **ASKED, **places, unseal=True, observers=[broken, ear], progress=lambda *said: seen.append(said)
    )
    return history, places, broken, ear, seen


@pytest.mark.slow
def test_figures_are_those_of_the_command_line(climbed, cli, tmp_path):
    """Same seed, same secret: every figure of --json, in the same fields and the same order."""
    ours = toprope.summary(climbed[0])
    options = [word for name, value in ASKED.items() for word in (f"--{name.replace('_', '-')}", value)]
    theirs = cli.json("climb", COIN, *options, "--unseal", "--run", tmp_path / "run")
    assert list(ours) == list(theirs)
    assert list(ours["cost"]) == list(theirs["cost"])
    assert {k: v for k, v in ours.items() if k not in CHANGES} == {k: v for k, v in theirs.items() if k not in CHANGES}


def test_a_vault_by_argument_leaves_the_users_alone(climbed, tmp_path):
    """A climb and a verification with a vault of their own; the user's is not even made."""
    _, places, *_ = climbed
    found = toprope.verify(places["run"], vault=places["vault"], workers=1)
    assert found.ok, found.checks
    assert {c.name for c in found.checks if c.ok} >= {"chain", "vault", "dev", "gate", "test"}
    assert (places["vault"] / "sealed.db").is_file()
    assert not (tmp_path / "vault").exists()


def test_an_observer_hears_every_record(climbed):
    """In the ledger's order, and a guest that fails at its first record costs nobody anything."""
    _, places, broken, ear, _ = climbed
    held = [type(record(entry)) for entry in read_entries(places["run"])]
    assert [type(r) for r in ear.heard] == held
    assert len(broken.heard) == 1


def test_a_run_is_read_while_it_stands_there(climbed):
    """The history of the climb, from the directory; progress was said as fractions."""
    history, places, *_, seen = climbed
    again = toprope.open_run(places["run"])
    assert again.head == history.head
    assert (again.experiments, again.champion, again.test.champion) == (40, history.champion, history.test.champion)
    scores, failed = again.dev_scores()
    assert set(scores) == set(range(40))
    assert not failed
    assert all(0 <= done <= 1 for _, done in seen)


@pytest.mark.slow
def test_interrupted_and_resumed(tmp_path, nothing_left_running):
    """Ctrl-C ends the session's processes; resuming goes on to the end, and only with the class that climbs it."""
    run = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        toprope.climb(COIN, climber=Last, run=run, observers=[Interrupting()], **ASKED)
    with pytest.raises(UsageError, match="code that toprope does not load"):
        toprope.resume(run, workers=1)
    history = toprope.resume(run, workers=1, climber=Last)
    assert history.experiments == 40
    assert history.opening.spec.climber.label == f"{Last.__module__}:Last"


def test_what_no_record_can_name_is_refused():
    """A class inside a function has no name that leads to it."""

    class Local(Last): ...

    with pytest.raises(UsageError, match="top of a module"):
        toprope.climb(COIN, climber=Local)


def test_options_are_those_of_a_run():
    """One that no run has is refused by name; a spec already says what options would."""
    with pytest.raises(UsageError, match="'experimets' is not an option of a run"):
        toprope.climb(COIN, experimets=40)
    with pytest.raises(UsageError, match="leave out climber, seed"):
        toprope.climb(toprope.RunSpec.from_keywords(COIN, experiments=1), seed=1)


def test_a_candidate_is_submitted(tmp_path):
    """As an object, or as a directory with parameters by argument: the same score; a crash is a result."""
    params = {"face": 1, "skill": 0.1, "act": "ok"}
    (tmp_path / "solution.py").write_bytes(SOURCE)
    tree = toprope.Tree({"solution.py": SOURCE})
    ours = toprope.submit(COIN, toprope.Candidate(tree, params), seed=3)
    same = toprope.submit(COIN, tmp_path, params=params, seed=3)
    assert (ours.outcome, ours.verdict, ours.dev.draws) == (toprope.Outcome.OK, "clean", 12)
    assert (ours.candidate, ours.dev) == (same.candidate, same.dev)
    crash = toprope.submit(COIN, toprope.Candidate(tree, {**params, "act": "crash"}))
    assert (crash.outcome, crash.dev) == (toprope.Outcome.CRASH, None)
    assert crash.message is not None and "asked to crash" in crash.message
    with pytest.raises(UsageError, match="relative path"):
        toprope.submit(COIN, toprope.Candidate(toprope.Tree({"../solution.py": SOURCE}), params))


def test_a_task_folder_is_climbed_as_it_is_now(tmp_path):
    """A file that was changed since it was loaded is loaded again, as somebody in a notebook expects."""
    name = toprope.new_task(tmp_path / "mine")
    before = toprope.submit(tmp_path / "mine", tmp_path / "mine" / "starter")
    path = tmp_path / "mine" / "task.py"
    path.write_text(path.read_text().replace("def score(self", "def unused(self", 1) + "\n\n# changed\n")
    with pytest.raises(UsageError, match="has no score"):
        toprope.submit(tmp_path / "mine", tmp_path / "mine" / "starter")
    assert (before.task, before.outcome) == (name, "ok")


@pytest.mark.slow
def test_a_new_task_is_admitted(tmp_path):
    """`toprope new` writes one that is fit to be climbed; every figure has its limit."""
    toprope.new_task(tmp_path / "mine")
    found = toprope.check(tmp_path / "mine", workers=2)
    assert found.admitted, [c for c in found.checks if not c.admits]
    assert "null-skill twin" in [c.name for c in found.checks]


def test_every_name_is_there():
    """And nothing is imported before it is used."""
    assert sorted(toprope.__all__) == sorted([*toprope._MODULE, "__version__"])
    assert all(getattr(toprope, name) is not None for name in toprope.__all__)
    code = "import sys, toprope; dir(toprope); sys.exit('numpy' in sys.modules or 'msgspec' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
