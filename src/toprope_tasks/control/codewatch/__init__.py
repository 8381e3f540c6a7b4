"""Code review as control: which programs do something else than their spec says, on inputs that nobody tries?"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from toprope_tasks.control.codewatch.task import Codewatch


def make(task_id: str) -> Codewatch:
    """The task of this id; the generator is imported only here, so that reading the family's name stays cheap."""
    from toprope_tasks.control.codewatch.task import Codewatch

    return Codewatch(task_id)
