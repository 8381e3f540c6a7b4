"""One author's experiment: joins the pieces that the scorers shared into one record of the ledger."""

from __future__ import annotations

import contextlib

import numpy as np

from toprope.executors.messages import Done
from toprope.journal.records import Author, BlockRecord, Opening
from toprope.types import Candidate, Outcome, merged


def size(candidate: Candidate) -> int:
    """Bytes of its files. The leaderboard prefers the smaller of two candidates with equal values."""
    return sum(map(len, candidate.tree.files.values()))


def joined(number: int, draws: int, parts: list[Done], opening: Opening, author: Author | None) -> BlockRecord:
    """The record of experiment `number` on `draws` draws. The first piece that failed decides the outcome. wall_s is
    summed over all scorers, because quotas count an author's time that way."""
    failed = next((d for d in parts if d.result.outcomes[0] is not Outcome.OK), None)
    scores = np.concatenate([d.result.scores[0] for d in parts]).astype(np.float32)
    seen = merged(i for d in parts for i in d.result.incidents.get(0, []))
    outcomes, messages = {}, {}
    if failed is not None:
        scores[:] = np.nan
        outcomes = {0: str(failed.result.outcomes[0])}
        with contextlib.suppress(KeyError):
            messages = {0: failed.result.messages[0]}
    return BlockRecord(
        id=f"{number}.0.{draws}",
        experiments=np.array([number], dtype=np.uint32),
        lo=0,
        hi=draws,
        rows=opening.space.default()[None, :],
        scores=scores[None, :],
        outcomes=outcomes,
        messages=messages,
        cpu_s=round(sum(d.result.cpu_s for d in parts), 6),
        wall_s=round(sum(d.result.wall_s for d in parts), 6),
        incidents={0: seen} if seen else {},
        author=author,
        node=parts[0].node,
    )
