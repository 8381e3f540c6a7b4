"""Executors carry blocks of work to dev scorers and return columns: on this machine, or on a cluster.

An executor is chosen by name (`--executor`) and made for one session of a run. Hidden work never goes through it: the
hub always uses scorers on its own machine (`executors/local.py`).
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
    """Carries work to scorers. Results do not depend on the place or the order of work.

    protection: of the sandboxes of its scorers (`Ready.protection`); the weakest one if they differ. mark: digests of a
    few of their draws (`tasks/mark.py`), the same for all. slots: number of blocks that run at the same time, >= 1.
    """

    @property
    def protection(self) -> dict[str, Any]: ...

    @property
    def mark(self) -> dict[str, str]: ...

    @property
    def slots(self) -> int: ...

    def load(self, tree: Tree, space: Space) -> tuple[str, str]:
        """Makes files and a space known to scorers; returns (digest of the tree, digest of the space), by which blocks
        name them."""

    def run(self, works: Iterable[Work]) -> Iterator[Done]:
        """Yields each work's answer once, in any order. Lost work is done again; a scorer that sends an answer it was
        not asked for is ended. A caller may stop early: answers to its remaining work never appear in a later `run`.

        Raises WorkerDied for work that cannot be done, and NoAnswer if a model does not answer.
        """

    def close(self) -> None:
        """Ends every scorer. It may be called twice."""


MakeExecutor = Callable[[ScorerConfig, int, Callable[[str, float], None], Broker | None], Executor]
"""(configuration of every scorer, number of scorers, progress, broker of the model that candidates may ask, or None)
-> an executor that is ready for work. One that takes an argument, `--executor NAME:ARGUMENT`, also has `argument` and
`named_again` (`executors/registry.py`).

Raises NoProtection if a scorer's sandbox fails its self-test, UsageError if scorers disagree on the task.
"""


def run(executor: Executor, works: Iterable[Work]) -> Iterator[Done]:
    """`executor.run` with a check: each work is answered once, and nothing else. Raises WorkerDied otherwise."""
    waiting = {work.id: work for work in works}
    for done in executor.run(list(waiting.values())):
        work = waiting.pop(done.id, None)
        if work is None or not done.answers(work):
            raise WorkerDied(f"executor {type(executor).__name__} brought an answer that was not asked for")
        yield done
    if waiting:
        raise WorkerDied(f"executor {type(executor).__name__} ended with {len(waiting)} works unanswered")
