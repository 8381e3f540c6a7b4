"""`otherlab/thing-v1`: which of fifty coins land heads more often than tails, told from three tosses of each?"""

from typing import ClassVar

import msgspec
import numpy as np

from toprope.protocols import Dialogue, Outputs
from toprope.space import Space, linear
from toprope.tasks.folder import FolderTask, Point
from toprope.types import Array, Call, Draw, Floats, Round, Split

TOSSES, COINS = 3, 50
BELIEF = Array("belief", "f8", (COINS,), low=0.0, high=1.0)


class Thing(FolderTask):
    space = Space([linear("weight", 0.0, 1.0, 11, 0.0), linear("last", 0.0, 1.0, 11, 1.0)])
    points: ClassVar = {"all tosses": Point({"weight": 0.3}, "natural default")}

    def generate(self, split: Split, index: int, seed: int) -> Draw:
        rng = np.random.default_rng(seed)
        bias = rng.random(COINS)
        tosses = rng.random((COINS, TOSSES)) < bias[:, None]
        return Draw({"tosses": tosses.astype(np.uint8)}, private=bias > 0.5, floor=0.5)

    def dialogue(self, draw: Draw, entries: frozenset[str]) -> Dialogue:
        if "believe" not in entries:
            raise ValueError("solution.py must define believe(tosses, *, params) -> (50,) chances in [0, 1]")
        return self._ask()

    @staticmethod
    def _ask() -> Dialogue:
        return (yield Round((Call("believe", ("tosses",), returns=(BELIEF,)),)))

    def score(self, outputs: Outputs, draw: Draw) -> Floats:
        """(k,) share of coins that are told rightly; a belief of 1/2 is half right."""
        belief = outputs["belief"]
        right = np.where(draw.private, belief > 0.5, belief < 0.5)
        return np.asarray(np.where(belief == 0.5, 0.5, right).mean(axis=1))

    def null(self, draw: Draw, rng: np.random.Generator) -> Draw:
        return msgspec.structs.replace(draw, private=rng.integers(0, 2, COINS) == 1)


make = Thing
