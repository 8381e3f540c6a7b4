"""Monitoring after the fact: find saved agent transcripts in which the agent did something unrequested."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from toprope_tasks.control.monitorbank.task import MonitorBank


def make(task_id: str) -> MonitorBank:
    """The task of this id; logs are read only when its draws are made."""
    from toprope_tasks.control.monitorbank.task import MonitorBank

    return MonitorBank(task_id)
