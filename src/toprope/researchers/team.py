"""Researchers on Inspect: one task, agent and transcript each; Inspect does models, retries, caching and logs.

A researcher ends when it finishes, or when its tokens, its money, the run's time or the run's experiments are used up.
An error of a provider ends only the researcher that it concerns. A kill loses nothing: the ledger holds experiments,
findings and bills, and a resumed researcher begins a new conversation with its notebook.
"""

from __future__ import annotations

import functools
import time
import tomllib
from collections.abc import Callable, Sequence
from importlib import resources
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from toprope.errors import RunError, UsageError
from toprope.journal.records import Ended
from toprope.journal.spec import Plan
from toprope.models.provider import get, plain
from toprope.protocols import Task, TaskSpec
from toprope.researchers import briefing
from toprope.researchers.conversation import AGAIN, TurnCounter, researcher
from toprope.researchers.replies import watched
from toprope.researchers.tools import ORACLE, PLAIN, Toolbox, tools_of
from toprope.researchers.workspace import Workspace
from toprope.run.submissions import Submissions

BEGIN = "Begin. Read your workspace, make a plan, and work until you have nothing left to try; then call finish."
SILENCE_S = 30.0  # between two messages about a model that does not reply
PEOPLE = ("ada", "blaise", "carl", "daniel", "emmy", "fritz", "grace", "henri", "ida", "jerzy", "karl", "lise")


def people(n: int) -> list[str]:
    """n distinct names."""
    return [PEOPLE[i] if i < len(PEOPLE) else f"{PEOPLE[i % len(PEOPLE)]}-{i // len(PEOPLE) + 1}" for i in range(n)]


def directions(spec: TaskSpec, file: Path | None) -> list[str]:
    """The lines of the user's file, or the directions shipped for the task's family. Raises UsageError for a file that
    is empty or cannot be read."""
    if file is None:
        shipped = tomllib.loads((resources.files("toprope.researchers") / "directions.toml").read_text("utf-8"))
        return list(shipped.get(spec.id.partition("/")[0], shipped["any"]))
    try:
        found = [line.strip() for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as e:
        raise UsageError(f"--directions {file}: {getattr(e, 'strerror', None) or e}; expected one a line") from e
    if not found:
        raise UsageError(f"--directions {file} is empty; expected one direction per line")
    return found


def priced(model: str, prices: Sequence[float], dollars: float | None) -> None:
    """Tells Inspect what tokens cost. prices: as in a `Plan`; missing prices of caches are assumed high, so that a cap
    is reached early rather than late. Raises UsageError for a cap on money without a known price."""
    from inspect_ai.model import ModelCost, ModelInfo, get_model_info, set_model_info

    info = get_model_info(model) or ModelInfo()
    if prices:
        ask, tell, *cache = prices
        write, read = cache or (1.25 * ask, ask)
        cost = ModelCost(input=ask, output=tell, input_cache_write=write, input_cache_read=read)
        set_model_info(model, info.model_copy(update={"cost": cost}))
    elif dollars is not None and info.cost is None:
        raise UsageError(
            f"--dollars needs the prices of {model}: add --prices IN,OUT in dollars per million tokens (such as 3,15), "
            "or cap --tokens instead"
        )


def forecast(plan: Plan) -> list[str]:
    """Lines that say what the run may cost at most."""
    money = "no cap on money" if plan.dollars is None else f"at most ${plan.dollars * plan.researchers:.2f}"
    return [
        f"{plan.researchers} researchers on {plan.model}: at most {plan.tokens * plan.researchers:,} tokens, {money}",
        f"each: {plan.experiments} experiments, {plan.attempts} attempts at the gate, "
        f"{plan.min_experiments_between} experiments apart",
    ]


def work(
    submissions: Submissions,
    task: Task,
    plan: Plan,
    directory: Path,
    seed: int,
    seconds: float | None,
    say: Callable[[str], None],
) -> None:
    """Runs every researcher to its end. directory: of the run; workspaces, transcripts and logs of calls go below it.

    Raises RunError if all of them ended by an error, UsageError if the model's key is missing."""
    model = watched(get("--model", plan.model))
    priced(plan.model, plan.prices, plan.dollars)
    folder = directory / "researchers"
    boxes = []
    for name in people(plan.researchers):
        workspace = Workspace(folder / name / "room")
        submissions.workspaces.append(workspace.still)
        briefing.prepare_workspace(workspace, task, seed)
        boxes.append(Toolbox(submissions, name, workspace, folder / name / "calls.jsonl"))
    tools = tools_of(task)
    listen = functools.cache(functools.partial(_listen, say))
    turns = {box.name: TurnCounter() for box in boxes}
    tasks = [_task(box, task, plan, i, seconds, tools, listen, turns[box.name]) for i, box in enumerate(boxes)]
    tasks = [t for t in tasks if t is not None]
    if tasks:
        logs = _evaluated(tasks, model, folder / "transcripts")
        for box in boxes:
            box.sync()
        _judged(submissions, logs, turns, say)


def _evaluated(tasks: list[Any], model: Any, transcripts: Path) -> list[Any]:
    """Runs the tasks, and returns Inspect's logs. Raises RunError if Inspect fails."""
    from inspect_ai import eval as run_eval

    without_aliases()
    try:
        logs = run_eval(
            tasks,
            model=model,
            log_dir=str(transcripts),
            log_format="eval",
            display="none",
            max_tasks=len(tasks),
            score=False,
            fail_on_error=False,
            max_connections=max(10, len(tasks)),
        )
    except Exception as e:  # Inspect's own hook would end the program without a message
        raise RunError(f"Inspect ended the conversations: {plain(e)}; remove the cause, then resume") from e
    return [log for log in logs if log is not None]


def without_aliases() -> None:
    """Makes YAML aliases an error. Inspect parses tool arguments that are not a JSON object as YAML, in the event loop
    that all conversations share, and ten short lines with aliases can expand beyond all memory."""
    import yaml  # type: ignore[import-untyped]
    from inspect_ai.model import _call_tools

    class PlainLoader(yaml.SafeLoader):  # type: ignore[misc]
        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.events.AliasEvent):
                raise yaml.composer.ComposerError(None, None, "an alias", self.peek_event().start_mark)
            return super().compose_node(parent, index)

    reader = SimpleNamespace(safe_load=lambda text: yaml.load(text, PlainLoader), error=yaml.error)
    _call_tools.yaml = reader  # type: ignore[attr-defined]  # only there: Inspect's own files use aliases


def _listen(say: Callable[[str], None]) -> None:
    """Reports that a model does not reply, and why, while Inspect retries, which it does without limit. Call it inside
    a conversation: earlier hooks are announced on stdout, which is reserved for the result."""
    from inspect_ai.hooks import Hooks, ModelRetry, hooks

    class Silence(Hooks):
        said = float("-inf")

        async def on_model_retry(self, data: ModelRetry) -> None:
            now = time.monotonic()
            if data.attempt > 1 and now - self.said >= SILENCE_S:
                self.said = now
                why = f"{data.exception_type}, {data.status_code}" if data.status_code else data.exception_type
                say(
                    f"conversation {data.task_name}: no reply from {data.model_name} in {data.attempt} rounds of tries "
                    f"({why}); the next in {data.wait_time:.0f} s"
                )

    hooks(name="silence", description="reports that a model does not reply")(Silence)


def _judged(
    submissions: Submissions, logs: list[Any], turns: dict[str, TurnCounter], say: Callable[[str], None]
) -> None:
    """Records and prints why each researcher's work ended. Raises RunError if all ended by an error, or no researcher
    had a reply from its model, because the cause is then common to all."""
    why = {str(log.eval.metadata["researcher"]): _why(log, turns) for log in logs}
    for name, words in why.items():
        submissions.accounts.end(Ended(name, words))
        say(f"researcher {name}: {told(submissions, name, words)}")
    errors = [words for words in why.values() if words.startswith("error: ")]
    if len(errors) == len(why):
        first = errors[0].removeprefix("error: ")
        raise RunError(f"every researcher was ended by an error, {first}; remove the cause, then resume")
    if not any(spent.tokens for spent in submissions.accounts.spent):
        raise RunError(
            f"no researcher had an answer of its model, {next(iter(why.values()))}; resume when the provider replies"
        )


LIMITS = {"token": "tokens", "cost": "dollars", "time": "time"}  # Inspect's limit -> our word


def _why(log: Any, turns: dict[str, TurnCounter]) -> str:
    """finished, tokens, dollars, time, experiments, fruitless or error; a colon and more words may follow."""
    errors = [log.error, *(sample.error for sample in log.samples or [])]
    if failed := next((e.message for e in errors if e is not None), None):
        words = failed.rpartition(r"\n\n")[2]  # Inspect puts the whole request before it, in one repr
        return "error: " + "".join(c for c in " ".join(words.split()) if c.isprintable())[:300]
    if met := next((sample.limit.type for sample in log.samples or [] if sample.limit is not None), None):
        return LIMITS.get(met, str(met))
    return turns[str(log.eval.metadata["researcher"])].ended or "finished"


def told(submissions: Submissions, name: str, why: str) -> str:
    """One line about the end of a researcher's work."""
    tokens, dollars = _spent(submissions, name)
    made = sum(j.author == name for j in submissions.practice.judged)
    money = f", ${dollars:.2f}" if dollars else ""
    return f"ended ({why}); {tokens:,} tokens{money}, {made} experiments, {submissions.attempts(name)} attempts"


def _task(
    box: Toolbox,
    task: Task,
    plan: Plan,
    number: int,
    seconds: float | None,
    tools: Sequence[str],
    listen: Callable[[], None],
    turns: TurnCounter,
) -> Any:
    """One researcher as an Inspect task with the rest of its budget; None if the budget is used up."""
    from inspect_ai import Task as InspectTask
    from inspect_ai.dataset import Sample
    from inspect_ai.model import ChatMessageSystem, ChatMessageUser

    tokens, dollars = _spent(box.submissions, box.name)
    left = None if plan.dollars is None else plan.dollars - dollars
    if plan.tokens - tokens <= 0 or (left is not None and left <= 0):
        return None
    direction = plan.directions[number % len(plan.directions)]
    past = [s.conversation for s in box.submissions.accounts.spent if s.author == box.name]
    notes = box.notes()
    began = AGAIN.format(notebook=notes or "(nothing)") if past or notes else BEGIN
    if told := box.operator(again=True):
        began = f"{began}\n\n{told}"
    conversation = f"{box.name}-{len(set(past)) + 1}"
    others = [name for name in tools if name in (*PLAIN, ORACLE)]
    system = briefing.prompt(task, box.name, direction, box.quota, [*others, "finish"])
    return InspectTask(
        name=conversation,
        dataset=[Sample(id=box.name, input=[ChatMessageSystem(content=system), ChatMessageUser(content=began)])],
        solver=researcher(box, conversation, tools, listen, turns),
        token_limit=plan.tokens - tokens,
        cost_limit=left,
        time_limit=None if seconds is None else max(1, int(seconds)),
        metadata={"researcher": box.name, "direction": direction, "task": task.spec.id},
    )


def _spent(submissions: Submissions, author: str) -> tuple[int, float]:
    own = [s for s in submissions.accounts.spent if s.author == author]
    return sum(s.tokens for s in own), sum(s.dollars for s in own)
