"""Reward-model over-optimisation: the score measures not the fit of a reward model, but the result of optimising it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from toprope_tasks.proxy.task import RewardModel


def make(task_id: str) -> RewardModel:
    """The task of this id; the generator is imported only here, so that reading the family's name stays cheap."""
    from toprope_tasks.proxy.task import RewardModel

    return RewardModel(task_id)
