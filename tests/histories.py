"""A run's story made of real records, with whatever texts a hostile candidate or user might bring."""

from __future__ import annotations

import numpy as np

from toprope.journal.history import RunHistory
from toprope.journal.records import AttemptRecord, BlockRecord, Generation, Opening
from toprope.journal.spec import Replay, RunSpec
from toprope.referee.recorded import Answer, Opened
from toprope.space import Space, choice
from toprope.stats.intervals import Estimate
from toprope.types import Candidate, Tree

EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'><svg/onload=x>{{ 7*7 }}[bold red]\x1b[31m\x07"
TREE = Tree({"solution.py": b""})
PROTECTION = {"tier": "linux-landlock", "landlock_abi": 7, "identity": EVIL, "network": "denied", EVIL: EVIL}


def estimate(value: float, width: float = 0.1) -> Estimate:
    return Estimate(value, value - width, value + width, width / 2)


def opening(**changes: object) -> Opening:
    fields: dict[str, object] = {
        "toprope": "0", "run": "r", "task": "testing/coin-v1", "climber": Replay(EVIL), "seed": 1, "experiments": 9,
        "minutes": None, "tier": "linux-landlock", "rehearsal": EVIL, "commitment": "c" * 64, "certifying": False,
        "number": 1, "vault_since": "2026-01-01", "hidden": f"public {EVIL}", "detectable": 0.1,
        "protection": PROTECTION, "floors": np.zeros(2), "ceilings": np.ones(2), "tree": TREE,
        "space": Space([choice("face", [0, EVIL])]), "started": 0.0,
    }  # fmt: skip
    fields |= changes
    asked = {name: fields.pop(name) for name in RunSpec.__struct_fields__ if name in fields}
    return Opening(spec=RunSpec(**asked), **fields)


def generation(number: int, best: float | None, experiments: int | None = None) -> Generation:
    return Generation(number, 1 + number if experiments is None else experiments, 0.1 * number, best, 0, 0, 0)


def block(outcome: str = "crash") -> BlockRecord:
    rows, scores = np.zeros((1, 1), np.uint8), np.full((1, 2), np.nan, np.float32)
    return BlockRecord("0.0.2", np.array([0], np.uint32), 0, 2, rows, scores, {0: outcome}, {0: EVIL}, 0.1, 0.1)


def history(*, promoted: bool = True, best: tuple[float | None, ...] = (0.1, 0.4), tested: bool = True) -> RunHistory:
    champion = Candidate(TREE, {"face": EVIL})
    asked = AttemptRecord(champion, 1, 0.4, True)
    answer = Answer(champion.id, promoted, 1, 1, estimate(0.4) if promoted else None)
    test = Opened(estimate(0.3), {EVIL: estimate(0.2)}, {EVIL: estimate(0.1)}, 1, 64, b"s" * 32, 1.0, np.full(64, 0.3))
    generations = [generation(i, value) for i, value in enumerate(best)]
    answers = [answer] if promoted else []
    opened = test if tested else None
    return RunHistory(EVIL, opening(), [block()], generations, [asked], answers, None, opened, [], "h" * 64)
