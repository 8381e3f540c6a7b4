"""What executors that reach other machines share: the terms of the work, and one scorer on a node that keeps to them.

The terms hold the dev secret and nothing hidden. A node works only if its task behaves as the run's does.
"""

from __future__ import annotations

import socket

import msgspec

from toprope.errors import UsageError
from toprope.executors.local import LocalExecutor
from toprope.executors.messages import Done, Node, Ready, ScorerConfig, Work
from toprope.models.broker import Broker
from toprope.protocols import Progress
from toprope.space import Space
from toprope.tasks import mark, registry
from toprope.types import Tree
from toprope.version import __version__

FORM = 1  # of terms and frames: a node of another form refuses


class Terms(msgspec.Struct, frozen=True, tag=True):
    """What every scorer of a session needs. secret: of dev draws. mark: digests of what the task does where the run is
    (`tasks/mark.py`). toprope: version there."""

    task: str
    secret: bytes
    tier: str
    honeypots: bytes | None
    mark: dict[str, str]
    toprope: str
    form: int = FORM

    @property
    def config(self) -> ScorerConfig:
        """Of a scorer on a node, whose own vault holds the task's secret."""
        return ScorerConfig(self.task, {"dev": self.secret}, self.tier, self.honeypots, True)

    def node(self) -> Node:
        """This machine, as its answers name it."""
        return Node(socket.gethostname(), self.tier, __version__, self.digest)

    def kept_by(self, node: Node | None) -> bool:
        """Whether an answer names a node that works under these terms, in words that can be printed."""
        if node is None or (node.tier, node.task) != (self.tier, self.digest):
            return False
        return all(s.isprintable() and len(s) < 256 for s in (node.name, node.toprope))

    @property
    def digest(self) -> str:
        """Of what the task does, whatever its code looks like."""
        return mark.digest({k: v for k, v in self.mark.items() if k != mark.CODE})


def agreed(name: str, config: ScorerConfig, progress: Progress, broker: Broker | None) -> tuple[Terms, LocalExecutor]:
    """The terms, and the scorer of this machine that proved them. name: of the executor, for messages. Raises
    UsageError for hidden work and for candidates that ask a model, neither of which leaves this machine."""
    if set(config.secrets) != {"dev"}:
        raise UsageError(f"executor {name} carries practice work only; hidden work stays beside the hub")
    if broker is not None:
        raise UsageError(
            f"candidates of {config.task} may ask a model, and executor {name} carries no questions; "
            "use --executor local"
        )
    here = LocalExecutor(msgspec.structs.replace(config, marked=True), 1, progress)
    marks = mark.of_task(registry.load(config.task)) | here.mark
    return Terms(config.task, config.secrets["dev"], config.tier, config.honeypots, marks, __version__), here


class Lane:
    """One scorer of this node, which works on one block at a time. Raises UsageError, in one line, if the task does
    something else here, and NoProtection if the sandbox does not hold here."""

    def __init__(self, terms: Terms, progress: Progress = lambda *_: None) -> None:
        self.terms, self.node = terms, terms.node()
        if terms.form != FORM:
            raise UsageError(
                f"node {self.node.name} has toprope {__version__}, which cannot talk to {terms.toprope}, that of the "
                "run; install the same version"
            )
        if not registry.is_known(terms.task):
            raise UsageError(
                f"node {self.node.name} does not know task {terms.task}; install its package there, or name the "
                "folder of a task of your own with --task DIR or in TOPROPE_TASKS"
            )
        self._check(mark.of_task(registry.load(terms.task)))
        self._executor = LocalExecutor(terms.config, 1, progress)
        try:
            self._check(self._executor.mark)
        except UsageError:
            self.close()
            raise

    def _check(self, here: dict[str, str]) -> None:
        if differ := mark.differences(self.terms.mark, here):
            raise UsageError(
                f"node {self.node.name}: task {self.terms.task} differs from the run's in {', '.join(differ)} "
                f"(toprope {__version__} here, {self.terms.toprope} there); install the same version of toprope and of "
                "the task, and give the node the same secret of the task"
            )

    @property
    def ready(self) -> Ready:
        return Ready(self._executor.protection, self._executor.mark)

    def score(self, work: Work, tree: Tree, space: Space) -> Done:
        """The answer, with this node's name. Raises WorkerDied or UsageError as `LocalExecutor.run` does."""
        self._executor.load(tree, space)
        (done,) = self._executor.run([work])
        return msgspec.structs.replace(done, node=self.node)

    def close(self) -> None:
        self._executor.close()
