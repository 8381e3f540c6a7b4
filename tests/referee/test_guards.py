"""Guards that only a fault or a cheat meets: a ledger of other candidates, a worker that others look into."""

import sqlite3
import subprocess
import sys

import numpy as np
import pytest

from toprope import seeding
from toprope.errors import RunError
from toprope.executors.local import LocalExecutor
from toprope.executors.messages import ScorerConfig
from toprope.journal.ledger import SqliteLedger
from toprope.run.evaluate import Evaluator
from toprope.run.race import Piece
from toprope.testing.coin import make

pytestmark = pytest.mark.e2e

COIN = "testing/coin-v1"
DUMPABLE = "import ctypes; print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))"  # PR_GET_DUMPABLE


def test_a_recorded_block_of_other_candidates_is_refused(tmp_path):
    """A resumed climb that proposes other rows than the ledger holds ends; the same rows are read, not run."""
    task = make(COIN)
    ledger = SqliteLedger(tmp_path / "ledger.db", create=True)
    pool = LocalExecutor(ScorerConfig(COIN, {"dev": seeding.dev_secret(0)}, "linux-landlock"), 1)
    try:
        rows = np.array([[1, 0, 0], [2, 0, 0]], dtype=np.uint8)
        piece = Piece(np.arange(2), rows, 0, 4)
        (first,) = Evaluator(ledger, pool, task.starter(), task.space)([piece])
        head = ledger.head
        (again,) = Evaluator(ledger, pool, task.starter(), task.space)([piece])
        assert np.array_equal(first.scores, again.scores)
        assert ledger.head == head
        with pytest.raises(RunError, match="holds other candidates than the climber proposes now"):
            Evaluator(ledger, pool, task.starter(), task.space)([piece._replace(rows=rows[::-1])])
    finally:
        pool.close()
        ledger.close()


@pytest.mark.parametrize(("harden", "expected"), [("", "1"), ("harden_worker(); ", "0")])
def test_a_worker_is_not_dumpable(harden, expected):
    """harden_worker closes a worker's memory to its own uid; without it the memory is open."""
    program = f"from toprope.sandbox.kernel import harden_worker; {harden}{DUMPABLE}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == expected


@pytest.mark.slow
def test_a_secret_that_was_not_committed_to_is_no_reveal(cli, tmp_path):
    """A vault whose run secret was replaced after the climb opens no test that the ledger would believe."""
    run = tmp_path / "run"
    cli.json("climb", COIN, "--experiments", 40, "--workers", 1, "--run", run)
    with sqlite3.connect(tmp_path / "vault" / "sealed.db") as db:
        db.execute("UPDATE runs SET secret = randomblob(32)")
    db.close()
    done = cli.run("unseal", run, "--json")
    assert (done.returncode, "the vault's secret was" in done.stderr) == (2, True), "other draws than those it marked"
    with sqlite3.connect(tmp_path / "vault" / "sealed.db") as db:
        db.execute("DELETE FROM marks")
    db.close()
    done = cli.run("unseal", run, "--json")
    assert done.returncode == 2
    assert "the revealed secret is not the one committed to" in done.stderr
    assert cli.export(run)["test"] is None
