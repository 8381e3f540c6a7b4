"""`mirror/rpn-v1`: a reverse Polish calculator with fixed point, registers and rules for errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from toprope_tasks.mirror.rpn.task import Rpn


def make(task_id: str) -> Rpn:
    """The task of this id; the reference is imported only here."""
    from toprope_tasks.mirror.rpn.task import Rpn

    return Rpn(task_id)
