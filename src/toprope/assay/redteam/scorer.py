"""A real scorer with gold worth stealing: in a file, in its environment, behind a descriptor, in its memory.

`CandidateRange` execs it in place of `toprope.referee.scorer`, and that is what it runs. `off` takes layers away from
its sandbox: tests and the study `layers` prove with it that a layer matters; the command line cannot name it.
"""

from __future__ import annotations

import functools
import json
import os
from typing import Any

from toprope.referee import scorer

PLANTED = "TOPROPE_REDTEAM"  # JSON: token, gold (path), fd, off


def plant(planted: dict[str, Any]) -> list[bytes]:
    """Opens the descriptor and returns what must stay in memory."""
    here = os.open(planted["gold"], os.O_RDONLY)
    os.dup2(here, planted["fd"], inheritable=True)
    os.close(here)
    return [f"gold in memory: {planted['token']}".encode() for _ in range(8)]


def main() -> None:
    planted = json.loads(os.environ[PLANTED])
    kept = plant(planted)
    if planted["off"]:
        scorer.Sandbox = functools.partial(scorer.Sandbox, off=frozenset(planted["off"]))  # type: ignore
    if "schema" in planted["off"]:  # it is checked twice: as the answer comes, and as the score that is made of it
        scorer.guarded.scores = lambda task, outputs, draw, _: (task.score(outputs, draw), {})  # type: ignore
    scorer.main()
    del kept


if __name__ == "__main__":
    main()
