"""The benchmark measures what it says; nothing here asserts a speed."""

from __future__ import annotations

import cells
import pytest
from kit import box

from toprope.assay import bench_sandbox

pytestmark = pytest.mark.e2e


@pytest.mark.slow
def test_every_figure_is_measured() -> None:
    """Each part returns positive figures, and a fresh candidate costs more than the bare fork it contains."""
    fresh = bench_sandbox.fresh(box(), repeats=3)
    assert min(fresh.values()) > 0
    assert fresh["cpu_ratio"] == fresh["fresh_cpu_ms"] / fresh["bare_fork_cpu_ms"]
    block = bench_sandbox.noop_block(box(), variants=100, repeats=1)
    assert block["cpu_us"] > 0
    work = bench_sandbox.overhead(box(wall_s=20.0), repeats=1)  # 200 ms of work on a crowded machine
    assert 0.2 <= work["work_s"] < work["wall_s"]
    if cells.full():
        both = bench_sandbox.side_by_side(repeats=1)
        assert both["start_ratio"] == both["start_full_ms"] / both["start_landlock_ms"] > 0
        assert both["fresh_ratio"] == both["fresh_full_ms"] / both["fresh_landlock_ms"] > 0
