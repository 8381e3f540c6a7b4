"""A real scorer with gold to steal: in a file, in its environment, behind a descriptor, in its memory.

`CandidateRange` starts it in place of `toprope.referee.scorer`, which it runs. `off` switches off layers of its
sandbox: with it, tests and the study `layers` prove that a layer matters; the command line cannot set it.
"""

from __future__ import annotations

import functools
import json
import os
from typing import Any

from toprope.referee import scorer

PLANTED = "TOPROPE_REDTEAM"  # JSON: token, gold (path), fd, off


def plant(planted: dict[str, Any]) -> list[bytes]:
    """Opens the descriptor, and returns the gold that the caller must keep in memory."""
    here = os.open(planted["gold"], os.O_RDONLY)
    os.dup2(here, planted["fd"], inheritable=True)
    os.close(here)
    return [f"gold in memory: {planted['token']}".encode() for _ in range(8)]


def main() -> None:
    planted = json.loads(os.environ[PLANTED])
    kept = plant(planted)
    if planted["off"]:
        scorer.Sandbox = functools.partial(scorer.Sandbox, off=frozenset(planted["off"]))  # type: ignore
    if "schema" in planted["off"]:  # checked twice: the answer when it comes, and the score made from it
        scorer.guarded.scores = lambda task, outputs, draw, _: (task.score(outputs, draw), {})  # type: ignore
    scorer.main()
    del kept


if __name__ == "__main__":
    main()
