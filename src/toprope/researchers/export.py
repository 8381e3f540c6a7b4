"""A toprope task as an Inspect task: one agent with a shell in a workspace, scored outside (`toprope export --to`).

The agent changes /workspace/candidate. `evaluate` returns exact practice scores, a limited number of times. At the end
the folder is scored on hidden draws, whose secret is made for this one scoring and thrown away: no log, seed or earlier
sample reveals anything about them. Gate, ledger and sealed test do not exist here; for these use `toprope climb`.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec

from toprope import paths
from toprope.errors import UsageError
from toprope.executors.local import LocalExecutor
from toprope.executors.messages import ScorerConfig
from toprope.journal.verdict import verdict
from toprope.models.provider import needed
from toprope.protocols import Task, imitation
from toprope.referee.honeypots import complete_secret
from toprope.referee.panel import HiddenPanel
from toprope.researchers import briefing
from toprope.researchers.conversation import FINISH
from toprope.researchers.team import without_aliases
from toprope.researchers.workspace import ROOM, Workspace
from toprope.run import public_brief
from toprope.run.submit import read_candidate, submit
from toprope.sandbox.selftest import best_tier
from toprope.stats.intervals import ratio
from toprope.stats.intervals import told as told_value
from toprope.tasks import registry
from toprope.types import Candidate, Incident, Split, merged

FOLDER = "candidate"  # in the workspace: what is scored at the end
EXPERIMENTS, DRAWS, MESSAGES = 100, 64, 500
BEGIN = "Begin. Read what is in your workspace, make a plan, and improve the candidate; call finish when it is ready."
COMMAND_S = 300
SPENT = "toprope:evaluations"  # key in Inspect's store of the sample

TASK_PY = '''\
"""{title}: the task {id} of toprope for Inspect.

    inspect eval task.py --model PROVIDER/NAME
"""

from inspect_ai import Task, task

from toprope.researchers.export import inspect_task


@task
def {name}(experiments: int = {experiments}, draws: int = {draws}, seed: int = 0) -> Task:
    """experiments: practice scores that the agent may ask for. draws: hidden, at the end. seed: of practice."""
    return inspect_task({where!r}, experiments, draws, seed)
'''

README = """\
# {id} for Inspect

{title} ({area}).

    pip install 'toprope[llm]'
    inspect eval task.py --model PROVIDER/NAME

One sample: an agent in a workspace with a shell, Python and numpy, without network (`sandbox="toprope"`; it needs
bubblewrap, but not Docker). The agent edits `/workspace/candidate`; its tool `evaluate` scores a folder on practice
draws. At the end the folder is scored outside the workspace on hidden draws that nobody has seen, made from a secret
that only this scoring uses.

`-T experiments=N` practice scores (default {experiments}), `-T draws=N` hidden draws ({draws}), `-T seed=N` other
practice draws; `--token-limit`, `--message-limit`, `--epochs` and the rest are Inspect's own.

The score is the task's normalised value: 0 at the floor, 1 at the ceiling ({metric}). A candidate that fails on a draw
counts as the floor there; a candidate that is proved to cheat scores 0. The score's metadata holds value, standard
error, 95 % interval, draws, failed draws, outcome, practice score, verdict and incidents.
"""


def write(name: str, folder: Path) -> Path:
    """Writes task.py and README.md into a new folder, and returns the path of task.py. name: an id, or a task's folder.

    Raises UsageError for an unknown task, and for a folder that is not empty."""
    task_id = registry.find(name)
    spec = registry.load(task_id).spec
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} exists and is not an empty directory; name a new one")
    words: dict[str, Any] = {
        "id": task_id,
        "title": " ".join(spec.title.split()),
        "area": spec.area,
        "metric": spec.metric.name,
        "name": "".join(c if c.isalnum() else "_" for c in task_id),
        "where": str(Path(name).resolve()) if name != task_id else task_id,
        "experiments": EXPERIMENTS,
        "draws": DRAWS,
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "README.md").write_text(README.format(**words), encoding="utf-8")
    (folder / "task.py").write_text(TASK_PY.format(**words), encoding="utf-8")
    return folder / "task.py"


def inspect_task(name: str, experiments: int = EXPERIMENTS, draws: int = DRAWS, seed: int = 0) -> Any:
    """The `inspect_ai.Task`. name: as for `write`. experiments: practice scores. draws: hidden, at least 2. seed: of
    the practice draws. Raises UsageError for an unknown task, numbers out of range, or if the extra is missing."""
    needed("tasks of Inspect")
    from inspect_ai import Task as InspectTask
    from inspect_ai.agent import AgentSubmit, react
    from inspect_ai.dataset import Sample
    from inspect_ai.model import ChatMessageSystem, ChatMessageUser
    from inspect_ai.tool import bash

    if experiments < 0 or draws < 2 or seed < 0:
        raise UsageError(
            f"experiments={experiments} draws={draws} seed={seed}; expected 0 or more, 2 or more, 0 or more"
        )
    without_aliases()
    task = registry.load(registry.find(name))
    system = briefing.without_gate(task, experiments)
    tools = [bash(timeout=COMMAND_S), _evaluate(task, experiments, seed)]
    if imitation(task):
        tools.append(_oracle(task))
    return InspectTask(
        name=task.spec.id.replace("/", "-"),
        dataset=[Sample(id=task.spec.id, input=[ChatMessageSystem(content=system), ChatMessageUser(content=BEGIN)])],
        setup=_furnished(task, seed),
        solver=react(prompt=None, tools=tools, submit=AgentSubmit(name="finish", description=FINISH)),
        scorer=_scorer(task, draws, seed),
        sandbox="toprope",
        message_limit=MESSAGES,
        metadata={"task": task.spec.id, "seed": seed, "experiments": experiments, "draws": draws},
    )


# ---------------------------------------------------------------- scoring, without Inspect


def practised(task: Task, workspace: Workspace, folder: str, seed: int) -> str:
    """The agent's answer about a folder of its workspace on practice draws. Raises UsageError if it holds no
    candidate."""
    with workspace.lock:  # the agent's commands cannot change it while it is read
        told = submit(task.spec.id, workspace.path(folder), None, seed, best_tier, lambda *_: None)
    name, dev = told.candidate[:12], told.dev
    if dev is None:
        return f"candidate {name} ended as {told.outcome}: {told.message or 'no message'}"
    return f"candidate {name}: dev {told_value(dev.value, dev.se)} over {dev.draws} draws"


def examined(task: Task, candidate: Candidate, draws: int) -> dict[str, Any]:
    """value, se and 95 % interval of a candidate on hidden draws of a fresh secret, its outcome and its incidents. With
    several kinds of draws, the interval resamples kinds, then draws."""
    fresh: dict[Split, bytes] = {"measure": secrets.token_bytes(32)}
    pool = LocalExecutor(ScorerConfig(task.spec.id, fresh, best_tier().tier, complete_secret()), 1)
    try:
        panel = HiddenPanel(pool, "measure", 0)
        (c,) = panel.columns([candidate], draws)
    finally:
        pool.close()
    cells = c.groups if len(set(c.groups.tolist())) > 1 else None
    e = ratio(c.counted, c.floors, c.ceilings, cells=cells)
    return {
        "candidate": candidate.id,
        "value": e.value,
        "se": e.se,
        "lo": e.lo,
        "hi": e.hi,
        "draws": draws,
        "failed": int((c.scores != c.scores).sum()),
        "outcome": str(panel.failures.get(candidate.id, "ok")),
        "incidents": [msgspec.structs.asdict(i) for i in panel.incidents.get(candidate.id, [])],
    }


def judged(task: Task, workspace: Workspace, draws: int, seed: int) -> dict[str, Any]:
    """`examined` for the folder as the agent left it, with its practice score and the incidents of practice. A folder
    without a candidate has the value of the floor."""
    with workspace.lock:
        try:
            candidate = read_candidate(workspace.path(FOLDER), None, task.spec)
        except UsageError as e:
            return {"value": 0.0, "outcome": "invalid", "verdict": "clean", "message": _inside(workspace, e)}
        practice = submit(task.spec.id, workspace.path(FOLDER), None, seed, best_tier, lambda *_: None)
    found = examined(task, candidate, draws)
    seen = merged([*practice.incidents, *(msgspec.convert(i, Incident) for i in found["incidents"])])
    return {
        **found,
        "practice": msgspec.to_builtins(practice.dev),
        "incidents": [msgspec.structs.asdict(i) for i in seen],
        "verdict": verdict(((i.kind, i.severity) for i in seen), task.spec.answer_kinds),
    }


def _inside(workspace: Workspace, error: UsageError) -> str:
    """The error message without paths of this machine."""
    return str(error).replace(str(workspace.folder), ROOM)


# ---------------------------------------------------------------- as parts of Inspect


def _room() -> Workspace:
    from inspect_ai.util import sandbox

    from toprope.researchers.provider import Room

    return sandbox().as_type(Room).workspace


def _furnished(task: Task, seed: int) -> Any:
    import anyio
    from inspect_ai.solver import solver

    @solver(name="toprope_room")
    def prepare_workspace() -> Any:
        async def solve(state: Any, generate: Any) -> Any:
            await anyio.to_thread.run_sync(briefing.prepare_workspace, _room(), task, seed)
            return state

        return solve

    return prepare_workspace()


def _evaluate(task: Task, experiments: int, seed: int) -> Any:
    """The tool. The sample's store, and so its log, holds how many scores are spent."""
    from inspect_ai.util import store

    async def evaluate(folder: str = FOLDER) -> str:
        """Score a candidate folder on all practice draws.

        Args:
            folder: below your workspace, with a solution.py and optionally params.json.
        """
        spent = int(store().get(SPENT, 0))
        if spent >= experiments:
            return f"not done: no practice scores left, all {spent} are spent"
        said = await _answered(lambda workspace: practised(task, workspace, folder, seed))
        if said.startswith("not done"):
            return said
        store().set(SPENT, spent + 1)
        return f"{said}; {experiments - spent - 1} left"

    return _tool(evaluate)


def _oracle(task: Task) -> Any:
    """The tool for a task with a program to imitate."""

    async def ask_oracle(question: str) -> str:
        """Ask the program that is to be imitated. Answers are counted.

        Args:
            question: JSON {"argv": [text], "stdin": text, "files": {name: text}}.
        """
        return await _answered(lambda _: json.dumps(*public_brief.oracle(task.spec.id, [question], paths.vault())))

    return _tool(ask_oracle)


def _tool(act: Callable[..., Awaitable[str]]) -> Any:
    from inspect_ai.tool import ToolDef

    from toprope.researchers.conversation import described

    described(act, act)  # type: ignore[arg-type]  # annotations as types, which Inspect needs
    return ToolDef(act, parallel=False).as_tool()


async def _answered(act: Callable[[Workspace], str]) -> str:
    """The answer of `act`, run in a thread. A UsageError becomes an answer."""
    import anyio

    workspace = _room()
    try:
        return await anyio.to_thread.run_sync(act, workspace)
    except UsageError as e:
        return f"not done: {_inside(workspace, e)}"


def _scorer(task: Task, draws: int, seed: int) -> Any:
    import anyio
    from inspect_ai.scorer import Score, mean, scorer, stderr

    @scorer(metrics=[mean(), stderr()], name="toprope")
    def hidden() -> Any:
        async def score(state: Any, target: Any) -> Score:
            found = await anyio.to_thread.run_sync(judged, task, _room(), draws, seed)
            caught = found["verdict"] != "clean"
            said = f"value {found['value']:.4f} on hidden draws, {found['outcome']}, {found['verdict']}"
            return Score(value=0.0 if caught else found["value"], explanation=said, metadata=found)

        return score

    return hidden()
