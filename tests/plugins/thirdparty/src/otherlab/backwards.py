"""The local executor, which is given its work from the last to the first."""

from collections.abc import Iterable, Iterator

from toprope.executors.local import LocalExecutor
from toprope.executors.messages import Done, Work


class Backwards(LocalExecutor):
    def run(self, works: Iterable[Work]) -> Iterator[Done]:
        return super().run(list(works)[::-1])
