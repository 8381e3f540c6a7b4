"""Null campaigns through the live hub: how often is a candidate promoted without being better (docs/statistics.md)?

Every campaign is a run of its own with its own secret: exec'ed hub, scorers, sandboxes, vault, and a climber that sends
one equally skilled candidate of `testing/coin-v1` after another until a PROMOTE or until it gives up. The promise is
that at most 5 % of campaigns see one; the exit code is 1 where more do. The study `simulate` does the same on the
functions alone, with many more. --skill: the true gain of the candidates, 0 is the null.
"""

from __future__ import annotations

import json
import tempfile
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from toprope.referee.client import HubClient
from toprope.referee.messages import HubConfig
from toprope.sandbox.selftest import best_tier
from toprope.stats.tails import clopper_pearson
from toprope.testing.coin import Coin
from toprope.types import Candidate

TASK = "testing/coin-v1"


def campaign(number: int, attempts: int, tier: str, vault: str, skill: float = 0.0) -> int | None:
    """The attempt that was promoted, or None. skill: true gain of every candidate over the champion."""
    coin = Coin(TASK, 250)
    hub = HubClient(HubConfig(f"campaign-{number}", TASK, tier, 1, vault, rehearsal=f"campaign {number}"))
    try:
        hub.wait_ready()
        for attempt in range(1, attempts + 1):
            hub.submit(Candidate(coin.starter(), {"face": attempt, "skill": skill, "act": "ok"}))
            if hub.answer().promoted:
                return attempt
        return None
    finally:
        hub.close()


def run(campaigns: int, attempts: int, tier: str, workers: int = 2, skill: float = 0.0) -> dict[str, Any]:
    """Counts promotions over independent campaigns; lower, upper: 95 % Clopper-Pearson bounds of their rate."""
    with tempfile.TemporaryDirectory() as vault, ThreadPoolExecutor(workers) as pool:
        promoted = list(pool.map(lambda i: campaign(i, attempts, tier, vault, skill), range(campaigns)))
    hits = sum(p is not None for p in promoted)
    lower, upper = clopper_pearson(hits, campaigns)
    return {"campaigns": campaigns, "attempts": attempts, "promoted": hits, "lower": lower, "upper": upper}


def main(*, campaigns: int = 200, attempts: int = 20, skill: float = 0.0) -> int:
    result = run(campaigns, attempts, best_tier().tier, skill=skill)
    print(json.dumps(result))
    return int(skill == 0 and result["lower"] > 0.05)
