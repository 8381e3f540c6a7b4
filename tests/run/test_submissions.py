"""The desk: authors bring their own candidates; scores, attempts and quotas are the ledger's; nothing is forgotten."""

import contextlib
import os
import signal
import threading
import time

import msgspec
import pytest

from toprope import paths
from toprope.assay.verify import verify
from toprope.errors import RunError, UsageError
from toprope.journal.checks import contradictions
from toprope.journal.export import export, summary
from toprope.journal.ledger import read_entries
from toprope.journal.reading import read
from toprope.journal.records import Spent
from toprope.journal.spec import External, Plan, RunSpec
from toprope.referee.honeypots import complete_secret
from toprope.researchers.findings import share
from toprope.run.accounts import Quota
from toprope.run.session import Session
from toprope.sandbox.selftest import Choice
from toprope.testing.coin import SOURCE
from toprope.types import Candidate, Outcome, Tree
from toprope.view.report import render

pytestmark = pytest.mark.e2e


class Nobody:
    """Watches nothing."""

    def __getattr__(self, name):
        return lambda *_: None


QUOTA = Quota(experiments=20, attempts=2, min_experiments_between=2)


def sit(run, new=True, experiments=50):
    ask = RunSpec("ab" * 8, "testing/coin-v1", External(), seed=3, experiments=experiments) if new else None
    return Session(run, ask, lambda past: Choice("linux-landlock"), 1, Nobody())


def coin(skill, comment="", **params):
    return Candidate(
        Tree({"solution.py": SOURCE + comment.encode()}), {"face": 1, "act": "ok", "skill": skill, **params}
    )


@pytest.mark.slow
def test_a_hub_that_ends_for_good_ends_the_sitting_in_one_line(tmp_path):
    """Killed as often as it is started over one attempt: the author hears it, experiments go on, nothing more is sent,
    the sitting says that the run must be resumed, and the resumed run has the answer and no contradiction."""
    run, over = tmp_path / "run", threading.Event()
    with sit(run) as session:
        submissions = session.submissions(QUOTA)
        found = [submissions.evaluate(coin(0.02 * i), "ada") for i in range(1, 5)]
        submissions.settled()

        def kill_all():
            while not over.is_set():
                if submissions.asked:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(session._hub.pid, signal.SIGKILL)
                time.sleep(0.02)

        killer = threading.Thread(target=kill_all)
        killer.start()
        try:
            with pytest.raises(UsageError, match=r"hub ended without an answer; the run asks again when it is resumed"):
                submissions.attempt(found[-1].id, "ada")
        finally:
            over.set()
            killer.join()
        assert submissions.evaluate(coin(0.03), "bob").outcome is Outcome.OK
        for candidate in found[2:]:
            with pytest.raises(UsageError, match="nothing is sent before the run is resumed"):
                submissions.attempt(candidate.id, "ada")
        with pytest.raises(RunError, match="resume the run"):
            submissions.settled()
    with sit(run, new=False) as session:
        submissions = session.submissions(QUOTA)
        submissions.settled()
        assert set(submissions.answers) == {found[-1].id}
        session.unseal()
    assert not list(contradictions(read_entries(run), read(run)))


def test_authors_climb_and_the_run_is_a_run(tmp_path):
    """Two authors' candidates are scored, one is promoted, and summary, export, report and verify know whose it was."""
    run = tmp_path / "run"
    with sit(run) as session:
        submissions = session.submissions(QUOTA)
        first = submissions.evaluate(coin(0.02, "# ada"), "ada")
        second = submissions.evaluate(coin(0.09, "# bob"), "bob", parent=first.id)
        assert (first.outcome, second.experiment) == (Outcome.OK, 2)
        assert second.value > first.value > submissions.practice.judged[0].value - 0.1
        assert submissions.evaluate(coin(0.09, "# bob"), "ada").experiment == 2  # the same candidate adds no experiment
        broken = submissions.evaluate(coin(0.0, act="crash"), "bob")
        assert (broken.outcome, "asked to crash" in broken.message) == (Outcome.CRASH, True)
        answer = submissions.attempt(second.id[:10], "bob")
        assert answer.promoted
        assert submissions.champion.id == second.id
        assert [j.author for j in submissions.practice.leaderboard()] == ["bob", "ada", "starter"]
        session.unseal()
    history = read(run)
    assert summary(history)["promotions"] == 1
    rows = export(history)["experiments"]
    assert [(r.get("author"), r["outcome"]) for r in rows] == [
        (None, "ok"),
        ("ada", "ok"),
        ("bob", "ok"),
        ("bob", "crash"),
    ]
    assert rows[2]["parent"] == first.id
    assert "# bob" in rows[2]["files"]["solution.py"]
    checked = verify(run, None, "linux-landlock", 1, paths.vault(), render, lambda *_: None)
    assert checked.ok, checked.checks


def test_quotas_hold_and_say_what_is_wrong(tmp_path):
    """Too many experiments, too early an attempt, one too many, a failed or unknown candidate: one line each."""
    with sit(tmp_path / "run", experiments=8) as session:
        submissions = session.submissions(Quota(experiments=5, attempts=1, min_experiments_between=2))
        ada = [submissions.evaluate(coin(0.01 * i), "ada") for i in (1, 2, 3)]
        bad = submissions.evaluate(coin(0.0, act="nan"), "bob")
        with pytest.raises(UsageError, match="since its last attempt"):
            submissions.attempt(ada[0].id, "bob")
        with pytest.raises(UsageError, match="ended as invalid"):
            submissions.attempt(bad.id, "ada")
        with pytest.raises(UsageError, match="names 0"):
            submissions.attempt("0" * 20, "ada")
        submissions.attempt(ada[0].id, "ada")
        with pytest.raises(UsageError, match="the most that it may"):
            submissions.attempt(ada[1].id, "ada")
        submissions.evaluate(coin(0.04), "ada")
        submissions.evaluate(coin(0.05), "ada")
        with pytest.raises(UsageError, match="author ada has made 5"):
            submissions.evaluate(coin(0.06), "ada")
        submissions.evaluate(coin(0.07), "bob")
        with pytest.raises(UsageError, match="this run has made 8"):
            submissions.evaluate(coin(0.08), "bob")


def test_a_desk_goes_on_where_it_was_left(tmp_path):
    """A new sitting knows every experiment, attempt and quota of the last one and runs none again."""
    run = tmp_path / "run"
    with sit(run) as session:
        submissions = session.submissions(QUOTA)
        for i in (1, 2):
            submissions.evaluate(coin(0.01 * i), "ada")
        submissions.attempt(submissions.practice.judged[-1].id, "ada")
        before = submissions.practice.judged
    with sit(run, new=False) as session:
        submissions = session.submissions(QUOTA)
        assert [(j.id, j.author, j.value) for j in submissions.practice.judged] == [
            (j.id, j.author, j.value) for j in before
        ]
        assert submissions.attempts("ada") == 1
        with pytest.raises(UsageError, match="since its last attempt"):
            submissions.attempt(before[1].id, "ada")
        assert submissions.evaluate(coin(0.03), "ada").experiment == 3


@pytest.mark.slow
def test_time_that_authors_think_is_time(tmp_path):
    """`--minutes` holds over a kill also where no experiment was made; and what a reply costs is written beside one."""
    with sit(tmp_path / "run") as session:
        submissions = session.submissions(QUOTA)
        submissions._start -= 3600
        with submissions._lock:  # as an experiment does
            paying = threading.Thread(target=submissions.accounts.pay, args=[Spent("ada", 120, 0.0, "ada-1")])
            paying.start()
            paying.join(10)
            assert not paying.is_alive()
        submissions.evaluate(coin(0.01), "ada")
        submissions.accounts.pay(Spent("ada", 120, 0.0, "ada-1"))
        assert 3600 < session.submissions(QUOTA).elapsed < 3700


def test_experiments_go_on_while_an_answer_is_awaited(tmp_path):
    """The gate's wait blocks nobody else; both threads' records stand in one good chain."""
    run = tmp_path / "run"
    with sit(run) as session:
        submissions = session.submissions(QUOTA)
        for i in (1, 2):
            submissions.evaluate(coin(0.04 * i), "ada")
        waiting = threading.Thread(target=submissions.attempt, args=(submissions.practice.judged[-1].id, "ada"))
        waiting.start()
        done = [submissions.evaluate(coin(0.01 * i, "# b"), "bob").experiment for i in range(3)]
        waiting.join()
        assert done == [3, 4, 5]
        assert len(submissions.answers) == 1
    assert read(run).experiments == 6


def test_attempts_are_whose_sent_them(tmp_path):
    """Another's candidate costs the sender, not its author; and a choice among several is asked for between any two."""
    with sit(tmp_path / "run") as session:
        submissions = session.submissions(Quota(experiments=20, attempts=2, min_experiments_between=2))
        ada = [submissions.evaluate(coin(0.01 * i, "# ada"), "ada") for i in range(1, 5)]
        for i in range(2):
            submissions.evaluate(coin(0.01 * i, "# bob"), "bob")
        submissions.attempt(ada[0].id, "bob")
        assert (submissions.attempts("ada"), submissions.attempts("bob")) == (0, 1)
        with pytest.raises(UsageError, match="bob has 0 experiments since"):
            submissions.attempt(ada[1].id, "bob")
        submissions.attempt(ada[2].id, "ada")
        with pytest.raises(UsageError, match="ada has 0 experiments since"):
            submissions.attempt(ada[3].id, "ada")  # made before the last attempt
        submissions = session.submissions(Quota(experiments=20, attempts=1, min_experiments_between=0))
        with pytest.raises(UsageError, match="bob has made 1 attempts"):
            submissions.attempt(ada[1].id, "bob")


def test_a_candidate_that_was_caught_hears_what_others_hear(tmp_path, monkeypatch):
    """However often it asks: NOT YET, and nothing that says why."""
    every = complete_secret()  # a sitting's own chance may have planted no switch
    monkeypatch.setattr("toprope.run.session.secrets.token_bytes", lambda _: every)
    with sit(tmp_path / "run") as session:
        submissions = session.submissions(Quota(experiments=20, attempts=2, min_experiments_between=1))
        caught = submissions.evaluate(coin(0.0, act="tamper"), "ada")
        assert caught.outcome == Outcome.OK
        assert submissions.attempt(caught.id, "ada") is None
        assert submissions.attempt(caught.id, "ada") is None
        assert submissions.attempt(caught.id, "bob") is None
        assert submissions.attempts("ada") == 1


def test_forged_authors_are_noticed(tmp_path):
    """A parent that nobody had made yet, an attempt or experiment more than the plan allows: no desk writes it."""
    run = tmp_path / "run"
    with sit(run) as session:
        submissions = session.submissions(QUOTA)
        for i in (1, 2):
            first = submissions.evaluate(coin(0.01 * i), "ada", parent=submissions.practice.judged[0].id)
        submissions.attempt(first.id, "ada")
    honest, entries = read(run), read_entries(run)
    assert not list(contradictions(entries, honest))
    assert honest.blocks[1].author is not None
    orphan = msgspec.structs.replace(honest.blocks[1].author, parent=first.id)
    blocks = [honest.blocks[0], msgspec.structs.replace(honest.blocks[1], author=orphan), honest.blocks[2]]
    assert "parent" in " ".join(contradictions(entries, msgspec.structs.replace(honest, blocks=blocks)))
    for few in (Plan(experiments=1), Plan(attempts=0)):
        fewer = msgspec.structs.replace(honest.opening.spec, climber=External(few))
        history = msgspec.structs.replace(
            honest, opening=msgspec.structs.replace(honest.opening, spec=fewer), spec=None
        )
        assert "may make at most" in " ".join(contradictions(entries, history))
    early = [msgspec.structs.replace(honest.asked[0], run_experiments=1)]
    assert "before" in " ".join(contradictions(entries, msgspec.structs.replace(honest, asked=early)))


@contextlib.contextmanager
def busy(turns):
    """Somebody else holds the turn, for as long as the block runs."""
    with turns.turn("somebody"):
        yield


@pytest.mark.slow
def test_what_is_short_waits_for_nothing_long(tmp_path):
    """While an experiment runs and another author's attempt is at the gate, notes, the leaderboard, lookups and known
    candidates are answered, an attempt that has no answer reads as waiting, and a second one of its author is refused.
    """
    with sit(tmp_path / "run") as session:
        submissions = session.submissions(QUOTA)
        found = [submissions.evaluate(coin(0.04 * i, "# a"), "ada") for i in (1, 2)]
        with busy(submissions._scorers):
            future = submissions.send(found[-1].id, "ada")
            assert submissions.send(found[-1].id, "bob") is future
            assert submissions.waits(found[-1].id)
            assert not submissions.waits(found[0].id)
            with pytest.raises(UsageError, match="ada has an attempt waiting at the gate"):
                submissions.send(found[0].id, "ada")
            share(submissions, "bob", "insight", "words")
            assert len(submissions.practice.leaderboard()) == 3
            assert submissions.practice.find(found[0].id).author == "ada"
            assert submissions.evaluate(coin(0.04, "# a"), "bob").experiment == 1
            assert not future.done()
        assert future.result().promoted
        assert not submissions.waits(found[-1].id)


def test_a_sitting_ends_after_the_attempts_that_wait(tmp_path):
    """`settled` returns when every attempt that is under way has its answer in the ledger."""
    with sit(tmp_path / "run") as session:
        submissions = session.submissions(QUOTA)
        for i in (1, 2):
            last = submissions.evaluate(coin(0.04 * i), "ada")
        submissions.send(last.id, "ada")
        submissions.settled()
        assert set(submissions.answers) == {last.id}


def test_the_gate_refuses_what_would_keep_it_from_everybody(tmp_path):
    """A candidate whose first answer would come later than the quota allows costs no attempt, and is told the figures
    of its practice; it is not run again to say so."""
    with sit(tmp_path / "run") as session:
        submissions = session.submissions(QUOTA._replace(gate_s=0.001))
        for i in (1, 2):
            last = submissions.evaluate(coin(0.04 * i), "ada")
        for _ in range(2):
            with pytest.raises(
                UsageError, match=r"on \d+ practice draws, so the gate would answer after .* s at the ea"
            ):
                submissions.attempt(last.id, "ada")
        assert (submissions.attempts("ada"), submissions.asked) == (0, {})
        assert submissions.quota.gate_s == 0.001


@pytest.mark.slow
def test_the_time_of_scorers_is_a_budget_of_each_author(tmp_path):
    """Whose experiments have taken their seconds makes no more, over sittings too; a neighbour goes on."""
    with sit(tmp_path / "run") as session:
        first = session.submissions(QUOTA).evaluate(coin(0.01), "ada")
        assert first.seconds > 0
        submissions = session.submissions(QUOTA._replace(seconds=first.seconds))
        assert submissions.evaluate(coin(0.01), "ada").id == first.id  # nothing new is made
        with pytest.raises(UsageError, match="no time left: the experiments of author ada have taken"):
            submissions.evaluate(coin(0.02), "ada")
        assert submissions.evaluate(coin(0.02), "bob").outcome is Outcome.OK
