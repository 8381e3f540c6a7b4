"""One researcher's conversations: Inspect's loop over its tools, what each reply costs, and why the work ends.

A conversation begins anew with the notebook where it has become long, by the provider's count or by the provider's
refusal to read more. Turns that bring nothing (a refusal, an empty reply, words without a tool) are counted: a model
that says nothing else would use up its budget unseen.
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

AGAIN = "You have worked on this before; your conversation begins anew. Your notebook says:\n\n{notebook}\n\nGo on."
FINISH = "End your work for good, with a sentence on what you found."
NUDGE = "Go on with your work; call finish only when you have nothing left to try."
LONG = 120_000  # tokens of a conversation after which it begins anew
FRUITLESS = 8  # turns running without a call of a tool, or without experiments left, after which a researcher ends
OVERFLOW = "error: the context is too long for the model, also for a conversation that begins anew"


class TurnCounter:
    """Of one researcher. ended: why its work is over, "" while it is not."""

    def __init__(self) -> None:
        self.ended = ""
        self.fruitless = 0
        self.spent = 0  # turns since there are no experiments left
        self.new = False  # has nothing been said since the conversation began anew?
        self.last = ""

    def count(self, output: Any, left: bool) -> None:
        """left: may experiments still be made?"""
        self.new = False
        idle = output.stop_reason == "content_filter" or not output.message.tool_calls
        self.fruitless = self.fruitless + 1 if idle else 0
        self.spent = 0 if left else self.spent + 1
        self.last = _kind(output)
        if self.fruitless >= FRUITLESS:
            self.ended = f"fruitless: {self.fruitless} turns running without a call of a tool, the last {self.last}"
        elif self.spent >= FRUITLESS:
            self.ended = f"experiments: none were left, for {self.spent} turns"

    def overflow(self) -> None:
        """The provider refused to read the conversation."""
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
    """Inspect's react loop over the tools of one box, metered to its last reply, however it ends."""
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
                meter.read()  # of a reply that spent the budget, finished, or came before an error

        return execute

    return researcher()


async def _until_it_stops(loop: Any, state: Any, box: Toolbox, turns: TurnCounter) -> Any:
    """One run of the loop, which Inspect ends for several reasons; the state to go on with."""
    from inspect_ai.model import ChatMessageUser

    state = await loop(state)
    reason = state.output.stop_reason
    if turns.ended:
        return state
    if reason == "model_length":
        turns.overflow()
        return await _anew(box, state.messages)
    if reason == "content_filter":  # Inspect gives up at the third running, which is not counted yet
        turns.count(state.output, True)
        state.messages.append(ChatMessageUser(content=NUDGE))
        return state
    turns.ended = "finished"
    return state


async def _anew(box: Toolbox, messages: list[Any]) -> Any:
    """A new conversation, that begins with the notebook."""
    import anyio
    from inspect_ai.agent import AgentState
    from inspect_ai.model import ChatMessageUser

    notes = await anyio.to_thread.run_sync(box.notes)
    again = AGAIN.format(notebook=notes or "(nothing)")
    return AgentState(messages=[*messages[:1], ChatMessageUser(content=again)])


def going_on(box: Toolbox, meter: TokenMeter, turns: TurnCounter) -> Callable[[Any], Awaitable[Any]]:
    """After every reply: a word where no tool was called, and a new conversation with the notebook where the last one
    has become long, by the provider's own count (Inspect's compaction would count with a vocabulary from the network).
    Raises RuntimeError or ValueError where that is no count, and ends the researcher, whose caps would not hold."""

    async def go_on(state: Any) -> Any:
        meter.read()  # also of a reply that called no tool
        usage = state.output.usage
        counted(*bill(usage))
        turns.count(state.output, box.submissions.free(box.name))
        if why := box.submissions.stopped:
            turns.ended = f"experiments: {why}"
        if turns.ended:
            return False
        if usage.total_tokens + (usage.input_tokens_cache_read or 0) > LONG:
            return await _anew(box, state.messages)
        return True if state.output.message.tool_calls else NUDGE

    return go_on


class TokenMeter:
    """Writes into the ledger what a conversation has used since it was last read; never less than nothing, nor more
    than a ledger may hold."""

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
