"""The red side of AI control: an attack policy against a frozen population of protocols."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from toprope_tasks.control.attack.task import Attack


def make(task_id: str) -> Attack:
    """The task of this id; the generator is imported only here, so that reading the family's name stays cheap."""
    from toprope_tasks.control.attack.task import Attack

    return Attack(task_id)
