"""Code review as control: find programs that deviate from their spec on inputs that nobody tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from toprope_tasks.control.codewatch.task import Codewatch


def make(task_id: str) -> Codewatch:
    """The task of this id; the generator is imported only here, so that reading the family's name stays cheap."""
    from toprope_tasks.control.codewatch.task import Codewatch

    return Codewatch(task_id)
