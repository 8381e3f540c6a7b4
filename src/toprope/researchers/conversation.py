"""One researcher's conversations: Inspect's loop over its tools, the cost of each reply, and why the work ends.

A conversation is restarted with the notebook when it has become too long, by the provider's count or because the
provider refuses to read more. Fruitless turns (a refusal, an empty reply, words without a tool call) are counted,
because a model that produces nothing else would use up its budget unnoticed.
"""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from toprope.journal.records import Spent
from toprope.models.broker import LARGEST, counted
from toprope.models.provider import bill
from toprope.researchers.tools import Toolbox
from toprope.run.submissions import Submissions

AGAIN = "You have worked on this before; this is a new conversation. Your notebook says:\n\n{notebook}\n\nGo on."
FINISH = "End your work for good, with a sentence on what you found."
NUDGE = "Go on with your work; call finish only when you have nothing left to try."
LONG = 120_000  # tokens of a conversation after which it is restarted
FRUITLESS = 8  # consecutive turns without a tool call, or without experiments left, that end a researcher
OVERFLOW = "error: the context is too long for the model, even in a restarted conversation"


class TurnCounter:
    """Counts the turns of one researcher. ended: why its work is over, "" while it is not."""

    def __init__(self) -> None:
        self.ended = ""
        self.fruitless = 0
        self.spent = 0  # turns since the last experiment was used up
        self.new = False  # whether the conversation was restarted and has had no reply since
        self.last = ""

    def count(self, output: Any, left: bool) -> None:
        """Counts one reply. left: whether the author has experiments left."""
        self.new = False
        idle = output.stop_reason == "content_filter" or not output.message.tool_calls
        self.fruitless = self.fruitless + 1 if idle else 0
        self.spent = 0 if left else self.spent + 1
        self.last = _kind(output)
        if self.fruitless >= FRUITLESS:
            self.ended = f"fruitless: {self.fruitless} turns running without a tool call, the last {self.last}"
        elif self.spent >= FRUITLESS:
            self.ended = f"experiments: none were left, for {self.spent} turns"

    def overflow(self) -> None:
        """Counts a refusal of the provider to read the conversation; a second one running ends the work."""
        if self.new:
            self.ended = OVERFLOW
        self.new = True


def _kind(output: Any) -> str:
    if output.stop_reason == "content_filter":
        return "refused by the provider"
    return "with words" if output.message.text.strip() else "empty"


def researcher(
    box: Toolbox, conversation: str, tools: Sequence[str], listen: Callable[[], None], turns: TurnCounter
) -> Any:
    """Inspect's react loop over the tools of one researcher, metered up to its last reply, even if it ends by an
    error."""
    from inspect_ai.agent import AgentSubmit, agent, react

    meter = TokenMeter(box.submissions, box.name, conversation)
    loop = react(
        prompt=None,
        tools=[as_tool(getattr(box, name), meter) for name in tools],
        submit=AgentSubmit(name="finish", description=FINISH),
        on_continue=going_on(box, meter, turns),
    )

    @agent
    def researcher() -> Any:
        async def execute(state: Any) -> Any:
            listen()
            try:
                while not turns.ended:
                    state = await _until_it_stops(loop, state, box, turns)
                return state
            finally:
                meter.read()  # also the last reply: before an error, at the end, or beyond the budget

        return execute

    return researcher()


async def _until_it_stops(loop: Any, state: Any, box: Toolbox, turns: TurnCounter) -> Any:
    """Runs the loop once, which Inspect ends for several reasons; returns the state to continue with."""
    from inspect_ai.model import ChatMessageUser

    state = await loop(state)
    reason = state.output.stop_reason
    if turns.ended:
        return state
    if reason == "model_length":
        turns.overflow()
        return await _anew(box, state.messages)
    if reason == "content_filter":  # Inspect gives up at the third in a row, which is not counted yet
        turns.count(state.output, True)
        state.messages.append(ChatMessageUser(content=NUDGE))
        return state
    turns.ended = "finished"
    return state


async def _anew(box: Toolbox, messages: list[Any]) -> Any:
    """A restarted conversation, which begins with the notebook and with every note of the operator."""
    import anyio
    from inspect_ai.agent import AgentState
    from inspect_ai.model import ChatMessageUser

    notes = await anyio.to_thread.run_sync(box.notes)
    told = await anyio.to_thread.run_sync(box.operator, True)
    again = AGAIN.format(notebook=notes or "(nothing)") + (f"\n\n{told}" if told else "")
    return AgentState(messages=[*messages[:1], ChatMessageUser(content=again)])


def going_on(box: Toolbox, meter: TokenMeter, turns: TurnCounter) -> Callable[[Any], Awaitable[Any]]:
    """A function that Inspect calls after every reply: it prompts a model that called no tool, and restarts a
    conversation that has become too long by the provider's own count (Inspect's compaction would need a vocabulary from
    the network). It passes on notes of the operator as messages of the user, which no answer of a tool can forge. It
    raises RuntimeError or ValueError for an invalid count, which ends the researcher, because its caps could not be
    kept."""

    import anyio
    from inspect_ai.model import ChatMessageUser

    async def go_on(state: Any) -> Any:
        meter.read()  # also after a reply without a tool call
        usage = state.output.usage
        counted(*bill(usage))
        turns.count(state.output, box.submissions.free(box.name))
        if why := box.submissions.stopped:
            turns.ended = f"experiments: {why}"
        if turns.ended:
            return False
        if usage.total_tokens + (usage.input_tokens_cache_read or 0) > LONG:
            return await _anew(box, state.messages)
        if told := await anyio.to_thread.run_sync(box.operator):
            state.messages.append(ChatMessageUser(content=told))
        return True if state.output.message.tool_calls else NUDGE

    return go_on


class TokenMeter:
    """Records in the ledger what a conversation has used since the last reading; amounts are clamped to the range that
    a ledger may hold."""

    def __init__(self, submissions: Submissions, author: str, conversation: str) -> None:
        self._desk, self._author, self._conversation = submissions, author, conversation
        self._tokens, self._dollars = 0, 0.0

    def read(self) -> None:
        from inspect_ai.util import sample_limits

        limits = sample_limits()
        tokens = max(self._tokens, min(int(limits.token.usage), LARGEST))
        dollars = max(self._dollars, min(float(limits.cost.usage), LARGEST))
        if tokens > self._tokens or dollars > self._dollars:
            more = Spent(self._author, tokens - self._tokens, dollars - self._dollars, self._conversation)
            self._tokens, self._dollars = tokens, dollars
            self._desk.accounts.pay(more)


def as_tool(act: Callable[..., str], meter: TokenMeter | None = None) -> Any:
    """A bound tool of a `Toolbox` as a tool of Inspect, with the same signature and docstring, run in a thread."""
    import anyio
    from inspect_ai.tool import ToolDef

    async def execute(*args: Any, **kwargs: Any) -> str:
        if meter is not None:
            meter.read()
        return await anyio.to_thread.run_sync(functools.partial(act, *args, **kwargs))

    described(execute, act)
    return ToolDef(execute, name=act.__name__, parallel=False).as_tool()


def described(wrapper: Any, act: Callable[..., str], method: bool = False) -> None:
    """Gives a wrapper the name, types and docstring of the tool it calls. method: `act` is unbound, so `self` is left
    out."""
    bare = inspect.unwrap(act)
    hints = typing.get_type_hints(bare)
    own = list(inspect.signature(act).parameters.values())[int(method) :]
    parameters = [p.replace(annotation=hints[p.name]) for p in own]
    wrapper.__signature__ = inspect.Signature(parameters, return_annotation=str)
    wrapper.__annotations__ = {p.name: p.annotation for p in parameters} | {"return": str}
    wrapper.__name__, wrapper.__doc__ = act.__name__, inspect.cleandoc(bare.__doc__ or "")
