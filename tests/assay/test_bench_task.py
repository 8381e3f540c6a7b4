"""`toprope bench TASK`, on the coin."""

import pytest

from toprope.assay import bench_task
from toprope.sandbox.selftest import best_tier
from toprope.view import text

pytestmark = pytest.mark.e2e


@pytest.mark.slow
def test_the_parts_make_up_the_whole():
    """Every part is there, together they are one experiment's CPU time, and the candidate's is not nothing."""
    r = bench_task.run("testing/coin-v1", best_tier().tier, experiments=65, workers=1)
    assert set(r["cpu_s"]) == {"generate", "candidate", "student", "engine", "gate", "start"}
    assert sum(r["cpu_s"].values()) == pytest.approx(1 / r["experiments_per_cpu_s"])
    assert r["cpu_s"]["candidate"] > 0
    assert r["cpu_s"]["gate"] > 0
    assert (r["experiments"], r["attempts"] >= 1, r["draws"] >= 1) == (65, True, True)
    assert "experiments per CPU second over 65 experiments" in text.bench_task(r)
