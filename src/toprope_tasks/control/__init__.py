"""AI control: keep most of an untrusted model's usefulness, and let none of its attacks through."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from toprope_tasks.control.task import Protocol


def make(task_id: str) -> Protocol:
    """The task of this id; the generator is imported only here, so that reading the family's name stays cheap."""
    from toprope_tasks.control.task import Protocol

    return Protocol(task_id)
