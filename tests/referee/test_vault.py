"""The vault: what it has counted stays counted, also when a process dies or another one writes."""

import multiprocessing
import os
import resource
import signal
import sqlite3
import stat

import pytest

from toprope.errors import RunError
from toprope.referee.gate import GateVerdict
from toprope.referee.recorded import Answer
from toprope.referee.vault import SECRET, Vault
from toprope.stats.intervals import Estimate
from toprope.stats.leak import answer_bits
from toprope.types import Candidate, Tree

CHAMPION = Candidate(Tree({"solution.py": b"x = 1"}), {"a": 1})
MEASURED = Estimate(0.5, 0.4, 0.6, 0.05)
YES, NO = GateVerdict(True, 12.0, 11.0, 64), GateVerdict(False, -3.0, 11.0, 32)
SPAWN = multiprocessing.get_context("spawn")


def test_only_its_owner_can_read_it(tmp_path):
    """Directory 0700, file 0600, also when an older file lay there with other rights."""
    vault = Vault(tmp_path / "vault")
    vault.open_run("r", "t", None)
    assert stat.S_IMODE((tmp_path / "vault").stat().st_mode) == 0o700
    assert {stat.S_IMODE(p.stat().st_mode) for p in (tmp_path / "vault").iterdir()} == {0o600}
    (tmp_path / "vault" / "sealed.db").chmod(0o644)
    Vault(tmp_path / "vault")
    assert stat.S_IMODE((tmp_path / "vault" / "sealed.db").stat().st_mode) == 0o600


def test_a_run_keeps_its_secret_and_its_number(tmp_path):
    """Opening again gives the same record; certifying runs are numbered per task, rehearsals are not counted."""
    vault = Vault(tmp_path)
    first = vault.open_run("a", "t", None)
    assert Vault(tmp_path).open_run("a", "t", None) == first
    assert len(first.secret) == 32
    assert vault.open_run("dry", "t", "secret").number == 1
    assert vault.open_run("dry 2", "t", "secret").secret == vault.open_run("dry", "t", "secret").secret
    second = vault.open_run("b", "t", None)
    assert (first.number, second.number, vault.open_run("c", "other", None).number) == (1, 2, 1)
    assert second.secret != first.secret


def test_an_attempt_is_counted_before_it_is_answered(tmp_path):
    """The number is on disk when `begin_attempt` returns; asking again neither counts nor answers."""
    vault = Vault(tmp_path)
    assert vault.begin_attempt("r", 1, "x") == (1, None)
    assert Vault(tmp_path).attempts("r") == 1
    assert Vault(tmp_path).begin_attempt("r", 1, "x") == (1, None)
    assert vault.begin_attempt("r", 1, "y") == (2, None)
    assert vault.attempts("r") == 2


def test_the_same_candidate_has_the_same_answer(tmp_path):
    """A refusal is remembered for the slice; on the next slice the candidate is tried anew."""
    vault = Vault(tmp_path)
    vault.begin_attempt("r", 1, "x")
    vault.refuse("r", 1, 1, NO, 0)
    assert vault.begin_attempt("r", 1, "x") == (1, 0)
    assert vault.begin_attempt("r", 2, "x") == (1, None)
    assert vault.begin_attempt("another run", 1, "x") == (1, None)


def test_a_promotion_burns_its_slice(tmp_path):
    """Answer, champion and measurement are there together, and a second champion on the slice is impossible."""
    vault = Vault(tmp_path)
    vault.begin_attempt("r", 1, CHAMPION.id)
    vault.promote("r", 1, 1, CHAMPION, MEASURED, YES, 1)
    again = Vault(tmp_path)
    assert again.champions("r") == [(CHAMPION, MEASURED)]
    answer = again.past_answer("r", CHAMPION.id)
    assert answer is not None
    assert answer == Answer(CHAMPION.id, True, 1, 1, MEASURED, 1)
    vault.begin_attempt("r", 1, "late")
    with pytest.raises(RunError, match="vault"):
        vault.promote("r", 1, 2, CHAMPION, MEASURED, YES, 0)
    assert vault.begin_attempt("r", 1, "late") == (2, None)  # half a promotion does not count
    assert vault.past_answer("other", CHAMPION.id) is None


def test_openings_count_over_runs(tmp_path):
    """The m-th opening of a task's test is the m-th for every run; the same candidate keeps its number."""
    vault = Vault(tmp_path)
    runs = [vault.open_run(name, "t", None) for name in "ab"]
    assert vault.open_test(runs[0], "x") == 1
    assert vault.open_test(runs[0], "x") == 1
    assert vault.open_test(runs[1], "x") == 2
    assert vault.open_test(vault.open_run("c", "other task", None), "x") == 1
    assert vault.open_run("a", "t", None).unsealed
    assert not vault.open_run("d", "t", None).unsealed


def test_a_rehearsals_opening_is_not_counted(tmp_path):
    """Its test is not secret any more; the run ends all the same."""
    vault = Vault(tmp_path)
    dry = vault.open_run("dry", "t", "secret")
    assert vault.open_test(dry, "x") == 1
    assert vault.open_test(vault.open_run("a", "t", None), "x") == 1
    assert vault.open_run("dry", "t", "secret").unsealed


def _die_after_beginning(directory):
    Vault(directory).begin_attempt("r", 1, f"candidate {os.getpid()}")
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_death_refunds_nothing(tmp_path):
    """A process killed between begin and answer leaves its attempt counted."""
    for count in (1, 2):
        process = SPAWN.Process(target=_die_after_beginning, args=(tmp_path,))
        process.start()
        process.join()
        assert process.exitcode == -signal.SIGKILL
        assert Vault(tmp_path).attempts("r") == count


def _write_much(directory, name, go):
    go.wait()
    vault = Vault(directory)
    run = vault.open_run(name, "t", None)
    for i in range(40):
        vault.begin_attempt("shared", 1, f"{name} {i}")
    vault.open_test(run, "x")


def test_two_processes_share_a_vault(tmp_path):
    """Made and written by three at once: no number is given twice, none is lost."""
    go = SPAWN.Event()
    writers = [SPAWN.Process(target=_write_much, args=(tmp_path, name, go)) for name in "abc"]
    for w in writers:
        w.start()
    go.set()
    for w in writers:
        w.join()
    assert [w.exitcode for w in writers] == [0, 0, 0]
    with sqlite3.connect(tmp_path / "sealed.db") as db:
        attempts = [n for (n,) in db.execute("SELECT attempt FROM attempts ORDER BY attempt")]
        assert attempts == list(range(1, 121))
        assert sorted(db.execute("SELECT number FROM runs").fetchall()) == [(1,), (2,), (3,)]
        assert sorted(db.execute("SELECT opening FROM openings").fetchall()) == [(1,), (2,), (3,)]
    db.close()


def test_a_full_disk_is_one_line_and_counts_nothing_wrongly(tmp_path):
    """What cannot be written raises RunError with the remedy; with room again the count goes on where it was."""
    vault = Vault(tmp_path)
    vault.begin_attempt("r", 1, "x")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        for write in (lambda: vault.begin_attempt("r", 1, "y"), lambda: vault.refuse("r", 1, 1, NO, 0)):
            with pytest.raises(RunError, match="toprope resume"):
                write()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert vault.begin_attempt("r", 1, "x") == (1, None)
    assert vault.begin_attempt("r", 1, "y") == (2, None)


def test_a_vault_that_is_none(tmp_path):
    """A damaged file ends in one line that names the way out."""
    (tmp_path / "sealed.db").write_bytes(b"no database" * 1000)
    with pytest.raises(RunError, match="TOPROPE_VAULT"):
        Vault(tmp_path)


def test_a_value_of_another_type_is_refused(tmp_path):
    """One flipped bit makes a text of a secret, which SQLite does not notice when it reads."""
    Vault(tmp_path).open_run("r", "t", None)
    with sqlite3.connect(tmp_path / "sealed.db") as db:
        db.execute("PRAGMA writable_schema=1")
        db.execute("UPDATE sqlite_master SET sql = replace(sql, ' STRICT', '')")
    db.close()
    with sqlite3.connect(tmp_path / "sealed.db") as db:
        db.execute("UPDATE runs SET secret = ?", ("x" * 32,))
    db.close()
    with pytest.raises(RunError, match="restore it from a copy"):
        Vault(tmp_path).open_run("r", "t", None)


def test_bits_about_a_secret_are_summed_over_its_certifying_runs(tmp_path):
    """Runs of another secret, of another task and rehearsals do not count."""
    vault = Vault(tmp_path)
    for run, task, rehearsal, secret in (("a", "t", None, "mine"), ("b", "t", None, "mine"), ("c", "t", None, "other"),
                                         ("d", "u", None, "mine"), ("e", "t", "dry", "mine")):  # fmt: skip
        vault.open_run(run, task, rehearsal)
        vault.mark(run, {SECRET: secret})
        number, _ = vault.begin_attempt(run, 1, "x")
        vault.refuse(run, 1, number, NO, 0)
    number, _ = vault.begin_attempt("a", 1, CHAMPION.id)
    vault.promote("a", 1, number, CHAMPION, MEASURED, YES, 0)
    assert vault.disclosed_bits("t", "mine") == pytest.approx(2 * answer_bits(False, 0) + answer_bits(True, 0))
    assert vault.disclosed_bits("t", "nobody's") == 0
