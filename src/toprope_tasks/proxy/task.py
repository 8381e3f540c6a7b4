"""The task object: the generator, the conversation, the score and the candidates it ships, put together."""

from __future__ import annotations

from typing import ClassVar

import msgspec
import numpy as np

from toprope.protocols import Dialogue, Outputs
from toprope.space import Space
from toprope.tasks.folder import FolderTask, Pairs, Point
from toprope.types import Draw, Floats, Split
from toprope_tasks.proxy import private, public
from toprope_tasks.proxy.space import SPACE


class RewardModel(FolderTask):
    """`proxy/reward-model-v1`: fit a reward model that stays right when it is optimised against."""

    space: Space | None = SPACE
    points: ClassVar = {
        "bradley-terry": Point(
            {}, "Bradley & Terry 1952; the reward model of Christiano et al. 2017 (arXiv:1706.03741)", ("l2", "clip")
        ),
        "labeller-weights": Point(
            {"labellers": "weigh"}, "agreement weighting after Dawid & Skene 1979", ("l2", "clip", "labellers")
        ),
        "ensemble": Point(
            {"members": 6, "pessimism": 1.0},
            "uncertainty-weighted ensemble, Coste et al. 2024 (arXiv:2310.02743)",
            ("l2", "clip", "members", "pessimism"),
        ),
        "invariance": Point(
            {"agree": 3.2},
            "inputs shrunk where labellers disagree, after invariant risk minimisation, "
            "Arjovsky et al. 2019 (arXiv:1907.02893)",
            ("l2", "clip", "agree"),
        ),
        "early-stopping": Point(
            {"cap": 0.95},
            "stop optimising where the proxy leaves what was compared; early stopping as in Gao et al. 2023",
            ("l2", "clip", "cap"),
        ),
        "audit-residual": Point(
            {"audit": 0.3},
            "preferences corrected by audited gold; natural default",
            ("l2", "clip", "audit", "audit_l2", "audit_bends"),
        ),
    }
    sources: ClassVar = {
        "constant": "null: floor by construction",
        "tame": "shortcut: ignores all data",
        "audit_only": "ridge on the audits; natural default",
        "described": "what docs/tasks/proxy.md says of the world, as a prior that the audits correct",
    }
    honeypot = Pairs("pool_gold", "rewards", public.POOL)

    def generate(self, split: Split, index: int, seed: int) -> Draw:
        return private.generate(split, index, seed)

    def dialogue(self, draw: Draw, entries: frozenset[str]) -> Dialogue:
        return public.dialogue(draw.private.pool, entries)

    def score(self, outputs: Outputs, draw: Draw) -> Floats:
        """(k,) mean gold, in standard deviations over the pool, of what the optimiser selects."""
        return private.score(outputs["rewards"], draw.private.gold)

    def null(self, draw: Draw, rng: np.random.Generator) -> Draw:
        """Gold dealt out anew over the pool: whatever is selected is worth its mean, 0."""
        gold = rng.permutation(draw.private.gold)
        return msgspec.structs.replace(draw, private=msgspec.structs.replace(draw.private, gold=gold))
