"""Null campaigns through the live hub: how often is a candidate promoted that is in truth no better?

Every campaign is a run of its own with its own secret: exec'ed hub, scorers, sandboxes, vault, and a climber that sends
one equally skilled candidate of `testing/coin-v1` after another until a PROMOTE or until it gives up. The promise is
that at most 5 % of campaigns see one. `toprope.stats.simulate` does the same on the functions alone, with many more.

    python -m toprope.assay.campaigns --campaigns 200 --attempts 20
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from toprope.referee.client import HubClient
from toprope.referee.messages import HubConfig
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


def main() -> None:
    from toprope.sandbox.selftest import best_tier

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--campaigns", type=int, default=200)
    parser.add_argument("--attempts", type=int, default=20)
    parser.add_argument("--skill", type=float, default=0.0, help="true gain of the candidates: 0 is the null")
    options = parser.parse_args()
    result = run(options.campaigns, options.attempts, best_tier().tier, skill=options.skill)
    print(json.dumps(result))
    if options.skill == 0 and result["lower"] > 0.05:
        sys.exit(1)


if __name__ == "__main__":
    main()
