"""Honest work on a busy machine: stopped, starved and short of memory it keeps its outcome and its score."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from kit import TIERS
from load import Load

pytestmark = pytest.mark.e2e


def scored(tier: str, children: int, slow: int, **load: Any) -> tuple[list[dict[str, Any]], int]:
    """What honest.py prints, with or without a load around it, and how often something was stopped."""
    command = [sys.executable, str(Path(__file__).parent / "honest.py"), tier, str(children), str(slow)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout is not None
        try:
            if not load:
                return [json.loads(line) for line in worker.stdout], 0
            with Load(worker.pid, **load) as made:
                return [json.loads(line) for line in worker.stdout], made.stops
        finally:
            worker.kill()


def same_as_idle(tier: str, children: int, slow: int, **load: Any) -> int:
    """Asserts that nothing of the load is seen in the results; returns how many experiments there were."""
    busy, stops = scored(tier, children, slow, **load)
    idle, _ = scored(tier, children, slow)
    assert stops > 0
    assert len(busy) == len(idle) == children + slow
    for quiet, loud in zip(idle, busy, strict=True):
        assert set(loud["outcomes"]) == {"ok"}, loud
        assert loud == quiet
    return sum(len(row) for result in busy for row in result["scores"])


@pytest.mark.slow
@pytest.mark.parametrize("tier", TIERS)
def test_a_candidate_that_is_stopped_keeps_its_score(tier: str) -> None:
    """Outcome, incidents and scores of honest work are the same on a machine where scorer, zygote and child are stopped
    at random, for longer than a candidate's limit too, and where neighbours want the CPU."""
    same_as_idle(tier, 3, 1, neighbours=2, memory=64 << 20, stops_s=(0.001, 0.5))


@pytest.mark.slow
@pytest.mark.parametrize("tier", TIERS[-1:])
def test_ten_thousand_honest_experiments(tier: str) -> None:
    """Of 10,000 honest experiments in over 400 children none is blamed for 8 neighbours at equal priority, 2 GiB of
    memory touched again and again, and stops of scorer, zygote and children."""
    assert same_as_idle(tier, 420, 30, neighbours=8, memory=2 << 30, stops_s=(0.001, 0.08)) >= 10_000
