"""toprope: climb alignment problems with very many cheap experiments, and keep the score worth believing.

Every name in `__all__` can be relied on; each is imported when it is first used, so `import toprope` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from toprope.version import __version__

if TYPE_CHECKING:
    from toprope.api import check, climb, list_tasks, new_task, open_run, resume, submit, unseal, verify, write_report
    from toprope.assay.fit.check import Admission
    from toprope.assay.verify import Verification
    from toprope.errors import NoProtection, RunError, TopropeError, UsageError
    from toprope.executors.base import Executor, MakeExecutor
    from toprope.figures import Figure
    from toprope.journal.export import summary
    from toprope.journal.history import RunHistory
    from toprope.journal.records import AttemptRecord, BlockRecord, Generation, Opening
    from toprope.journal.spec import RunSpec
    from toprope.protocols import Baseline, Climber, Dialogue, Ledger, Observer, Outputs, Results, Secret, Task
    from toprope.referee.recorded import Answer, Opened
    from toprope.run.submit import Submission
    from toprope.space import Dim, Space, all_but, choice, given, linear, log
    from toprope.stats.intervals import Estimate
    from toprope.tasks.folder import FolderTask, Pairs, Point
    from toprope.tasks.registry import Listing
    from toprope.types import Array, Block, Call, Candidate, Draw, Incident, Outcome, Round, Tree

_HOME = {  # module -> its names, as above
    "api": "check climb list_tasks new_task open_run resume submit unseal verify write_report",
    "assay.fit.check": "Admission",
    "assay.verify": "Verification",
    "errors": "NoProtection RunError TopropeError UsageError",
    "executors.base": "Executor MakeExecutor",
    "figures": "Figure",
    "journal.export": "summary",
    "journal.history": "RunHistory",
    "journal.records": "AttemptRecord BlockRecord Generation Opening",
    "journal.spec": "RunSpec",
    "protocols": "Baseline Climber Dialogue Ledger Observer Outputs Results Secret Task",
    "referee.recorded": "Answer Opened",
    "run.submit": "Submission",
    "space": "Dim Space all_but choice given linear log",
    "stats.intervals": "Estimate",
    "tasks.folder": "FolderTask Pairs Point",
    "tasks.registry": "Listing",
    "types": "Array Block Call Candidate Draw Incident Outcome Round Tree",
}
_MODULE = {name: f"toprope.{module}" for module, names in _HOME.items() for name in names.split()}

__all__ = [
    "Admission",
    "Answer",
    "Array",
    "AttemptRecord",
    "Baseline",
    "Block",
    "BlockRecord",
    "Call",
    "Candidate",
    "Climber",
    "Dialogue",
    "Dim",
    "Draw",
    "Estimate",
    "Executor",
    "Figure",
    "FolderTask",
    "Generation",
    "Incident",
    "Ledger",
    "Listing",
    "MakeExecutor",
    "NoProtection",
    "Observer",
    "Opened",
    "Opening",
    "Outcome",
    "Outputs",
    "Pairs",
    "Point",
    "Results",
    "Round",
    "RunError",
    "RunHistory",
    "RunSpec",
    "Secret",
    "Space",
    "Submission",
    "Task",
    "TopropeError",
    "Tree",
    "UsageError",
    "Verification",
    "__version__",
    "all_but",
    "check",
    "choice",
    "climb",
    "given",
    "linear",
    "list_tasks",
    "log",
    "new_task",
    "open_run",
    "resume",
    "submit",
    "summary",
    "unseal",
    "verify",
    "write_report",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULE:
        raise AttributeError(f"module 'toprope' has no attribute {name!r}")
    return getattr(import_module(_MODULE[name]), name)


def __dir__() -> list[str]:
    return __all__
