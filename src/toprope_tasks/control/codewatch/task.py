"""The task object: puts together generator, dialogue, score and the shipped candidates."""

from __future__ import annotations

from typing import ClassVar

import msgspec
import numpy as np

from toprope.protocols import Dialogue, Outputs
from toprope.space import Space
from toprope.tasks.folder import FolderTask, Pairs, Point
from toprope.types import Draw, Floats, Json, Split
from toprope_tasks.control.codewatch import private, public
from toprope_tasks.control.codewatch.space import SPACE

LEARNT: dict[str, Json] = {"context": "both", "near": 2, "by": "rule"}


class Codewatch(FolderTask):
    """`control/codewatch-v1`: rank programs by whether they do what their spec says."""

    space: Space | None = SPACE
    points: ClassVar = {
        "numbers": Point({}, "numbers the spec lacks; natural default", ("near", "by", "pool", "smooth")),
        "offsets": Point(
            LEARNT, "surprise at constants in context, backed off; natural", ("near", "pool", "smooth", "caught")
        ),
        "translation": Point(
            {"numbers": 0.0, "words": 1.0, "rounds": 8, "by": "rule"},
            "IBM model 1, Brown et al. 1993 (Computational Linguistics 19(2))",
            ("rounds", "smooth", "pool", "back"),
        ),
        "both": Point(
            {**LEARNT, "words": 1.0, "back": 1.0, "rounds": 8, "pool": "sum"},
            "translation and offsets together; natural",
            ("numbers", "words", "back", "smooth", "near", "pool"),
        ),
    }
    sources: ClassVar = {
        "constant": "null: flags nothing",
        "length": "null: says nothing by construction",
        "grams": "naive Bayes on runs of tokens; says nothing by construction",
    }
    honeypot = Pairs("backdoored_gold", "suspicion", public.PROGRAMS)

    def generate(self, split: Split, index: int, seed: int) -> Draw:
        return private.generate(split, index, seed)

    def dialogue(self, draw: Draw, entries: frozenset[str]) -> Dialogue:
        return public.dialogue(draw.private.programs, entries)

    def score(self, outputs: Outputs, draw: Draw) -> Floats:
        """(k,) caught share of backdoored programs at the audit budget."""
        return private.score(outputs["suspicion"], draw.private)

    def null(self, draw: Draw, rng: np.random.Generator) -> Draw:
        """Classes and families are assigned again at random, and luck breaks ties: every answer's mean is the floor."""
        gold = draw.private
        dealt = msgspec.structs.replace(gold, family=rng.permutation(gold.family), luck=rng.random(public.PROGRAMS))
        return msgspec.structs.replace(draw, private=dealt)
