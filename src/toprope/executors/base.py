"""What carries blocks of work to dev scorers and brings back columns: processes of this machine, or somebody's cluster.

An executor is chosen by name (`--executor`) and made for one session of a run. Hidden work never goes through it: the
hub scores that beside itself (`executors/local.py`), whatever executor the run has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

from toprope.errors import WorkerDied
from toprope.executors.messages import Done, ScorerConfig, Work
from toprope.models.broker import Broker
from toprope.space import Space
from toprope.types import Tree


class Executor(Protocol):
    """Carries work to scorers. Where and in which order it is done changes no result.

    protection: what the sandboxes of its scorers proved (`Ready.protection`); the weakest, where they differ. mark:
    digests of a few of their draws (`tasks/mark.py`), equal for all. slots: blocks that are at work at one time, >= 1.
    """

    @property
    def protection(self) -> dict[str, Any]: ...

    @property
    def mark(self) -> dict[str, str]: ...

    @property
    def slots(self) -> int: ...

    def load(self, tree: Tree, space: Space) -> tuple[str, str]:
        """Makes files and a space known; returns the digests by which blocks name them."""

    def run(self, works: Iterable[Work]) -> Iterator[Done]:
        """Each work's answer once, in any order. Lost work is done again; a scorer that answers what it was not asked
        is ended. A caller may stop early: what is then still at work never appears in a later `run`.

        Raises WorkerDied for work that cannot be done, and NoAnswer where a model gives none.
        """

    def close(self) -> None:
        """Ends every scorer. May be called twice."""


MakeExecutor = Callable[[ScorerConfig, int, Callable[[str, float], None], Broker | None], Executor]
"""(configuration of every scorer, how many, progress, model that candidates may ask) -> an executor that is ready.

Raises NoProtection where a scorer's sandbox does not prove itself, UsageError where scorers disagree on the task.
"""


def run(executor: Executor, works: Iterable[Work]) -> Iterator[Done]:
    """`executor.run`, held to its promise: each work answered once, nothing else. Raises WorkerDied otherwise."""
    waiting = {work.id: work for work in works}
    for done in executor.run(list(waiting.values())):
        work = waiting.pop(done.id, None)
        if work is None or not done.answers(work):
            raise WorkerDied(f"executor {type(executor).__name__} brought an answer that was not asked for")
        yield done
    if waiting:
        raise WorkerDied(f"executor {type(executor).__name__} ended with {len(waiting)} works unanswered")
