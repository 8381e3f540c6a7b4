"""Monitorability: a monitor that reads scratchpads, and a penalty that trains what it reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from toprope_tasks.monitorability.task import Scratchpad


def make(task_id: str) -> Scratchpad:
    """The task of this id; the generator is imported only here, so that reading the family's name stays cheap."""
    from toprope_tasks.monitorability.task import Scratchpad

    return Scratchpad(task_id)
