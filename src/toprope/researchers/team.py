"""Researchers on Inspect: one task, one agent and one transcript each; models, retries, caching and logs are Inspect's.

A researcher ends when it finishes or when its tokens, its money, the run's time or the run's experiments are spent. A
failing provider ends its own researcher only. Nothing is lost by a kill: experiments, findings and what was spent stand
in the ledger, and a researcher that is resumed begins a new conversation with its notebook.
"""

from __future__ import annotations

import functools
import inspect
import time
import tomllib
import typing
from collections.abc import Awaitable, Callable, Sequence
from importlib import resources
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from toprope.errors import RunError, UsageError
from toprope.protocols import Task, TaskSpec
from toprope.referee.broker import LARGEST, counted
from toprope.referee.provider import bill, get, plain
from toprope.researchers import briefing
from toprope.researchers.tools import ORACLE, PLAIN, Toolbox, tools_of
from toprope.researchers.workspace import Workspace
from toprope.run.desk import Desk
from toprope.run.records import Plan, Spent

BEGIN = "Begin. Read what is in your room, make a plan, and work until you have nothing left to try; then call finish."
AGAIN = "You have worked on this before; your conversation begins anew. Your notebook says:\n\n{notebook}\n\nGo on."
FINISH = "End your work for good, with a sentence on what you found."
NUDGE = "Go on with your work; call finish only when you have nothing left to try."
LONG = 120_000  # tokens of a conversation after which it begins anew
SILENCE_S = 30.0  # between two lines that say that a model does not reply
PEOPLE = ("ada", "blaise", "carl", "daniel", "emmy", "fritz", "grace", "henri", "ida", "jerzy", "karl", "lise")


def people(n: int) -> list[str]:
    """n names, distinct."""
    return [PEOPLE[i] if i < len(PEOPLE) else f"{PEOPLE[i % len(PEOPLE)]}-{i // len(PEOPLE) + 1}" for i in range(n)]


def directions(spec: TaskSpec, file: Path | None) -> list[str]:
    """Of a file of one's own, one a line, or those shipped for the family. Raises UsageError for an empty file."""
    if file is None:
        shipped = tomllib.loads((resources.files("toprope.researchers") / "directions.toml").read_text("utf-8"))
        return list(shipped.get(spec.id.partition("/")[0], shipped["any"]))
    try:
        found = [line.strip() for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as e:
        raise UsageError(f"--directions {file}: {getattr(e, 'strerror', None) or e}; expected text, one a line") from e
    if not found:
        raise UsageError(f"--directions {file} is empty; expected one direction a line")
    return found


def priced(model: str, prices: Sequence[float], dollars: float | None) -> None:
    """Tells Inspect what tokens cost. prices: as in a `Plan`; what is left out of caches is taken to be dear, so that a
    cap comes early rather than late. Raises UsageError for a cap on money where no price is known."""
    from inspect_ai.model import ModelCost, ModelInfo, get_model_info, set_model_info

    info = get_model_info(model) or ModelInfo()
    if prices:
        ask, tell, *cache = prices
        write, read = cache or (1.25 * ask, ask)
        cost = ModelCost(input=ask, output=tell, input_cache_write=write, input_cache_read=read)
        set_model_info(model, info.model_copy(update={"cost": cost}))
    elif dollars is not None and info.cost is None:
        raise UsageError(
            f"--dollars needs the prices of {model}: add --prices IN,OUT in dollars for a million tokens (3,15 say), "
            "or cap --tokens instead"
        )


def forecast(plan: Plan) -> list[str]:
    """What the run may cost at most, before it begins."""
    money = "no cap on money" if plan.dollars is None else f"at most ${plan.dollars * plan.researchers:.2f}"
    return [
        f"{plan.researchers} researchers on {plan.model}: at most {plan.tokens * plan.researchers:,} tokens, {money}",
        f"each: {plan.experiments} experiments, {plan.attempts} attempts at the gate, {plan.apart} experiments apart",
    ]


def work(
    desk: Desk,
    task: Task,
    plan: Plan,
    directory: Path,
    seed: int,
    seconds: float | None,
    say: Callable[[str], None],
) -> None:
    """Runs every researcher to its end. directory: the run's; rooms, transcripts and logs of calls go below it.

    Raises RunError if all of them ended by an error, UsageError where a resumed run finds no key any more."""
    get("--model", plan.model)
    priced(plan.model, plan.prices, plan.dollars)
    folder = directory / "researchers"
    boxes = []
    for name in people(plan.researchers):
        room = Workspace(folder / name / "room")
        briefing.furnish(room, task, seed)
        boxes.append(Toolbox(desk, name, room, folder / name / "calls.jsonl"))
    tools = tools_of(task)
    listen = functools.cache(functools.partial(_listen, say))
    tasks = [_task(box, task, plan, i, seconds, tools, listen) for i, box in enumerate(boxes)]
    tasks = [t for t in tasks if t is not None]
    if tasks:
        logs = _evaluated(tasks, plan.model, folder / "transcripts")
        for box in boxes:
            box.sync()
        _judged(logs, say)


def _evaluated(tasks: list[Any], model: str, transcripts: Path) -> list[Any]:
    """Inspect's logs. Raises RunError where it does not begin."""
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
    except Exception as e:  # Inspect's own hook for these would end the program without a word
        raise RunError(f"Inspect ended the conversations: {plain(e)}; resume when it is mended") from e
    return [log for log in logs if log is not None]


def without_aliases() -> None:
    """Inspect reads a tool's arguments that are no JSON object as YAML, in the loop that all conversations share; ten
    short lines of it can stand for more than any memory holds. An alias is an error there, as it is in JSON."""
    import yaml  # type: ignore[import-untyped]
    from inspect_ai.model import _call_tools

    class Plain(yaml.SafeLoader):  # type: ignore[misc]
        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.events.AliasEvent):
                raise yaml.composer.ComposerError(None, None, "an alias", self.peek_event().start_mark)
            return super().compose_node(parent, index)

    reader = SimpleNamespace(safe_load=lambda text: yaml.load(text, Plain), error=yaml.error)
    _call_tools.yaml = reader  # type: ignore[attr-defined]  # there alone: Inspect's own files have aliases


def _listen(say: Callable[[str], None]) -> None:
    """Says that a model does not reply, and why, while Inspect tries again, which it does without end. To be called in
    a conversation: hooks that are there before the first are announced on stdout, which is the result's."""
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

    hooks(name="silence", description="says that a model does not reply")(Silence)


def _judged(logs: list[Any], say: Callable[[str], None]) -> None:
    """Says who was ended by an error. Raises RunError if everybody was: then it is no matter of one researcher."""
    failed = {}
    for log in logs:
        errors = [log.error, *(sample.error for sample in log.samples or [])]
        if why := next((e.message for e in errors if e is not None), None):
            words = why.rpartition(r"\n\n")[2]  # what Inspect has put the whole request before, in one repr
            failed[log.eval.task] = " ".join(words.split())[:300]
    for name, why in failed.items():
        say(f"conversation {name} was ended by an error: {why}")
    if len(failed) == len(logs):
        raise RunError(
            f"every researcher was ended by an error, {next(iter(failed.values()))}; resume when it is mended"
        )


def _task(
    box: Toolbox,
    task: Task,
    plan: Plan,
    number: int,
    seconds: float | None,
    tools: Sequence[str],
    listen: Callable[[], None],
) -> Any:
    """One researcher as an Inspect task, with what is left of its budget; None if nothing is."""
    from inspect_ai import Task as InspectTask
    from inspect_ai.dataset import Sample
    from inspect_ai.model import ChatMessageSystem, ChatMessageUser

    tokens, dollars = _spent(box.desk, box.name)
    left = None if plan.dollars is None else plan.dollars - dollars
    if plan.tokens - tokens <= 0 or (left is not None and left <= 0):
        return None
    direction = plan.directions[number % len(plan.directions)]
    past = [s.conversation for s in box.desk.spent if s.author == box.name]
    notes = box.notes()
    began = AGAIN.format(notebook=notes or "(nothing)") if past or notes else BEGIN
    conversation = f"{box.name}-{len(set(past)) + 1}"
    others = [name for name in tools if name in (*PLAIN, ORACLE)]
    system = briefing.prompt(task, box.name, direction, box.quota, [*others, "finish"])
    return InspectTask(
        name=conversation,
        dataset=[Sample(id=box.name, input=[ChatMessageSystem(content=system), ChatMessageUser(content=began)])],
        solver=_agent(box, conversation, tools, listen),
        token_limit=plan.tokens - tokens,
        cost_limit=left,
        time_limit=None if seconds is None else max(1, int(seconds)),
        metadata={"researcher": box.name, "direction": direction, "task": task.spec.id},
    )


def _spent(desk: Desk, author: str) -> tuple[int, float]:
    own = [s for s in desk.spent if s.author == author]
    return sum(s.tokens for s in own), sum(s.dollars for s in own)


def _agent(box: Toolbox, conversation: str, tools: Sequence[str], listen: Callable[[], None]) -> Any:
    """Inspect's react loop over the tools of one box, metered to its last reply, however it ends."""
    from inspect_ai.agent import AgentSubmit, agent, react

    meter = Meter(box.desk, box.name, conversation)
    loop = react(
        prompt=None,
        tools=[as_tool(getattr(box, name), meter) for name in tools],
        submit=AgentSubmit(name="finish", description=FINISH),
        on_continue=_going_on(box, meter),
    )

    @agent
    def researcher() -> Any:
        async def execute(state: Any) -> Any:
            listen()
            try:
                return await loop(state)
            finally:
                meter.read()  # of a reply that spent the budget, finished, or came before an error

        return execute

    return researcher()


def _going_on(box: Toolbox, meter: Meter) -> Callable[[Any], Awaitable[Any]]:
    """After every reply: a word where no tool was called, and a new conversation with the notebook where the last one
    has become long, by the provider's own count (Inspect's compaction would count with a vocabulary from the network).
    Raises RuntimeError or ValueError where that is no count, and ends the researcher, whose caps would not hold."""

    async def go_on(state: Any) -> Any:
        import anyio
        from inspect_ai.agent import AgentState
        from inspect_ai.model import ChatMessageUser

        meter.read()  # also of a reply that called no tool
        usage = state.output.usage
        counted(*bill(usage))
        if usage.total_tokens + (usage.input_tokens_cache_read or 0) > LONG:
            notes = await anyio.to_thread.run_sync(box.notebook)
            return AgentState(messages=[*state.messages[:1], ChatMessageUser(content=AGAIN.format(notebook=notes))])
        return True if state.output.message.tool_calls else NUDGE

    return go_on


class Meter:
    """Writes into the ledger what a conversation has used since it was last read; never less than nothing, nor more
    than a ledger may hold."""

    def __init__(self, desk: Desk, author: str, conversation: str) -> None:
        self._desk, self._author, self._conversation = desk, author, conversation
        self._tokens, self._dollars = 0, 0.0

    def read(self) -> None:
        from inspect_ai.util import sample_limits

        limits = sample_limits()
        tokens = max(self._tokens, min(int(limits.token.usage), LARGEST))
        dollars = max(self._dollars, min(float(limits.cost.usage), LARGEST))
        if tokens > self._tokens or dollars > self._dollars:
            more = Spent(self._author, tokens - self._tokens, dollars - self._dollars, self._conversation)
            self._tokens, self._dollars = tokens, dollars
            self._desk.pay(more)


def as_tool(act: Callable[..., str], meter: Meter | None = None) -> Any:
    """A bound tool of a `Toolbox` as Inspect's: its signature and docstring, run in a thread."""
    import anyio
    from inspect_ai.tool import ToolDef

    async def execute(*args: Any, **kwargs: Any) -> str:
        if meter is not None:
            meter.read()
        return await anyio.to_thread.run_sync(functools.partial(act, *args, **kwargs))

    described(execute, act)
    return ToolDef(execute, name=act.__name__, parallel=False).as_tool()


def described(wrapper: Any, act: Callable[..., str], method: bool = False) -> None:
    """Gives a wrapper the name, types and words of the tool it calls. method: not bound yet, so `self` is left out."""
    bare = inspect.unwrap(act)
    hints = typing.get_type_hints(bare)
    own = list(inspect.signature(act).parameters.values())[int(method) :]
    parameters = [p.replace(annotation=hints[p.name]) for p in own]
    wrapper.__signature__ = inspect.Signature(parameters, return_annotation=str)
    wrapper.__annotations__ = {p.name: p.annotation for p in parameters} | {"return": str}
    wrapper.__name__, wrapper.__doc__ = act.__name__, inspect.cleandoc(bare.__doc__ or "")
