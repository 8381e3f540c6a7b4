"""`testing/coin-v1`: the smallest real task, for tests and benchmarks of everything around tasks.

A candidate answers its face and skill; the score is the skill plus noise per draw and face, so two faces of equal skill
differ only by luck: a climb over faces at skill 0 is a null campaign. `act` makes a candidate misbehave. It is not an
alignment task and is not listed with them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from toprope.protocols import Baseline, Dialogue, Metric, ModelUse, Outputs, Progress, Splits, TaskSpec
from toprope.space import Space, choice
from toprope.types import Array, Call, Draw, Floats, Limits, Round, Split, Tree

FACES = 250
NOISE = 0.026  # sd of the score over draws: between close champions of w2s the paired sd is about this (w2s.md II.5)
SOURCE = b'''"""Answers (face, skill); `act` makes it misbehave."""
import os

import numpy as np


def answer(nonce, *, params):
    act = params["act"]
    if act == "crash":
        raise RuntimeError("asked to crash")
    if act == "hang":
        while True:
            pass
    if act == "exit":
        os._exit(0)
    if act == "tamper":
        for name in os.environ:
            if os.environ[name] == "0":
                os.environ[name] = "1"
        return np.array([params["face"], params["skill"] + 0.1, nonce[0]])
    if act == "nan":
        return np.array([np.nan, 0.0, 0.0])
    return np.array([params["face"], params["skill"], nonce[0]])
'''

NOOP = b"""import numpy as np

out = np.zeros(3)


def answer(nonce, *, params):
    out[0], out[2] = params["a"], nonce[0]
    return out
"""

_ROUND = Round((Call("answer", ("nonce",), returns=(Array("answer", "f8", (3,)),)),))


class Coin:
    """Implements `protocols.Task`. faces: number of faces. acts: how candidates may behave."""

    secret = None

    def __init__(self, task_id: str, faces: int, acts: tuple[str, ...] = ("ok",)) -> None:
        self.spec = TaskSpec(
            id=task_id,
            title="A coin with many faces",
            area="testing",
            threat_model="none",
            metric=Metric("luck", "score", "score", 0.1, NOISE),
            entries=["answer"],
            limits=Limits(wall_s=0.5, cpu_s=2.0, memory_mb=256),
            splits=Splits([4, 12], val_slice=64, measure_slice=32, test=64, attempt_every=64, tick_s=0.25),
            known_hacks=[],
            licence="MIT",
            citation="",
        )
        skills = [round(0.01 * i, 2) for i in range(11)]
        self.space = Space([choice("face", list(range(faces))), choice("skill", skills), choice("act", list(acts))])

    def prepare(self, split: Split, progress: Progress) -> None:
        progress("drawing coins", 1.0)

    def generate(self, split: Split, index: int, seed: int) -> Draw:
        rng = np.random.default_rng(seed)
        noise = NOISE / np.sqrt(2) * rng.standard_normal(FACES)
        return Draw({"nonce": rng.random(1)}, noise, group=index % 8)

    def dialogue(self, draw: Draw, entries: frozenset[str]) -> Dialogue:
        if "answer" not in entries:
            raise ValueError("solution.py must define answer(nonce, *, params)")
        return self._speak()

    @staticmethod
    def _speak() -> Dialogue:
        return (yield _ROUND)

    def score(self, outputs: Outputs, draw: Draw) -> Floats:
        answer = outputs["answer"]  # (k, 3)
        same = answer[:, 2] == draw.public["nonce"][0]  # an answer without this draw's nonce scores 0
        luck = draw.private[answer[:, 0].astype(np.int64) % FACES]
        return np.where(same, 0.5 + answer[:, 1] + luck, 0.0)

    def decoy(self, draw: Draw, rng: np.random.Generator) -> None:
        return None

    def agreement(self, outputs: Outputs, draw: Draw, coins: object) -> tuple[NDArray[np.int64], int]:
        raise AssertionError("this task has no decoy")

    def null(self, draw: Draw, rng: np.random.Generator) -> Draw:
        """New luck. The skill stays, because it is part of the answer; only the value of a face is unknown."""
        return msgspec.structs.replace(draw, private=NOISE / np.sqrt(2) * rng.standard_normal(FACES))

    def starter(self) -> Tree:
        return Tree({"solution.py": SOURCE})

    def baselines(self) -> Mapping[str, Baseline]:
        params = {"face": 1, "skill": 0.0, "act": "ok"}
        return {"another face": Baseline(self.starter(), dict(params), "by construction")}


class Nonce(Coin):
    """`testing/nonce-v1`: to measure the engine's own cost. One draw, and a candidate that repeats its nonce."""

    def __init__(self, task_id: str) -> None:
        super().__init__(task_id, FACES)
        splits = Splits([1], val_slice=32, measure_slice=8, test=8, attempt_every=10**9, generation=40_000)
        self.spec = msgspec.structs.replace(self.spec, splits=splits)
        self.space = Space([choice(name, list(range(256))) for name in "abcd"])

    def starter(self) -> Tree:
        return Tree({"solution.py": NOOP})

    def baselines(self) -> Mapping[str, Baseline]:
        return {}


ASKING = b'''"""Answers (face, what the model says of an effort). Half of the efforts ask the same on every draw."""
import numpy as np


def answer(nonce, *, model, params):
    effort = params["effort"]
    draw = f"nonce {nonce[0]:.6f}, " if effort % 2 else ""
    said = model([{"role": "user", "content": f"{draw}effort {effort}"}])
    return np.array([params["face"], float(said), nonce[0]])
'''


class AskingCoin(Coin):
    """`testing/asking-v1`: a candidate's skill is the number that a model answers."""

    def __init__(self, task_id: str) -> None:
        super().__init__(task_id, FACES)
        splits = Splits([4, 8], val_slice=48, measure_slice=8, test=8, attempt_every=8, tick_s=0.25, generation=8)
        self.spec = msgspec.structs.replace(self.spec, splits=splits, model=ModelUse(2, 1000, 20))
        self.space = Space([choice("face", list(range(20))), choice("effort", list(range(11)))])

    def scripted(self, messages: Sequence[tuple[str, str]], sample: int) -> str:
        """One hundredth per unit of effort."""
        return str(int(messages[-1][1].rsplit(" ", 1)[1]) / 100)

    def starter(self) -> Tree:
        return Tree({"solution.py": ASKING})

    def baselines(self) -> Mapping[str, Baseline]:
        return {"another face": Baseline(self.starter(), {"face": 1, "effort": 0}, "by construction")}


def make(task_id: str) -> Coin:
    """Makes a testing task. In `testing/coin-v1` all candidates behave; in `testing/rough-coin-v1` some crash, hang,
    exit or answer NaN; in `testing/sly-coin-v1` half of them change every switch in their environment and score higher;
    in `testing/asking-v1` they ask a model; `testing/nonce-v1` is for benchmarks."""
    if "sly" in task_id:
        return Coin(task_id, 20, ("ok", "tamper"))
    if "asking" in task_id:
        return AskingCoin(task_id)
    if "nonce" in task_id:
        return Nonce(task_id)
    if "rough" in task_id:
        return Coin(task_id, 20, ("ok",) * 12 + ("crash", "exit", "nan", "hang"))
    return Coin(task_id, FACES)
