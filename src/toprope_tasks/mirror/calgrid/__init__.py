"""`mirror/calgrid-v1`: month grids of an invented calendar."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from toprope_tasks.mirror.calgrid.task import Calgrid


def make(task_id: str) -> Calgrid:
    """The task of this id; the reference is imported only here."""
    from toprope_tasks.mirror.calgrid.task import Calgrid

    return Calgrid(task_id)
