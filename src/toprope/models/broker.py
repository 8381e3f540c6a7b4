"""The broker of the model that candidates may ask: it asks the provider, meters, and keeps replies for replays.

It lives beside a pool of scorers, never in a scorer: one in the run process for practice, one in the hub for hidden
draws. The two share nothing; otherwise a quick answer in practice would reveal what was asked about a hidden draw.
Replies are kept by (model, messages, sample), so that a run can be resumed and verified without asking again, and
without a key.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from toprope.errors import ModelSpent, NoAnswer, NoReply, RunError
from toprope.models.limits import key, size
from toprope.models.messages import SCRIPTED, Message, Provider, Question, Rejected, Reply, Told
from toprope.protocols import ModelUse, Task, has_script

LARGEST = 10**12  # tokens or dollars of one reply
TOKEN = 64  # most characters per token of a reply; a longer text is cut
PLAIN = Question([Message("user", "Yes?")])  # a question that every model accepts


def report_to_operator(words: str) -> None:
    """Prints to the owner of the provider's key."""
    print("".join(c if c.isprintable() else "?" for c in words), file=sys.stderr, flush=True)


def discard(_: str) -> None:
    """Prints nothing: for hidden draws if the owner of the key is also the climber."""


class Broker:
    """Answers questions as they come, many at a time. It is used from one thread.

    provider: None in a replay, which asks nothing new. tokens: a hard cap; a question that might exceed it is not
    asked, counting at most one token per byte, and at least the most expensive reply so far. known: earlier replies of
    the run. keep: gets every new reply before it is passed on. allow: (key, tokens it may take) -> whether it may be
    asked. say: gets the text of a failing provider, which may repeat a key or the question.
    """

    def __init__(
        self,
        model: str,
        use: ModelUse,
        provider: Provider | None,
        tokens: int | None = None,
        known: Iterable[Reply] = (),
        keep: Callable[[Reply], object] = lambda _: None,
        allow: Callable[[bytes, int], bool] = lambda *_: True,
        say: Callable[[str], None] = report_to_operator,
    ) -> None:
        self._allow, self._say = allow, say
        self.model, self._use, self._provider, self._cap, self._keep = model, use, provider, tokens, keep
        self._known = {r.key: r for r in known}
        self.spent = sum(r.tokens for r in self._known.values())  # by all replies of this run
        self._largest = max((r.tokens for r in self._known.values()), default=0)  # some models think before they reply
        self.asked = 0  # questions of candidates, known or not
        self._waited = (0, 0.0)  # number of replies, and their seconds in all
        self._asking: dict[bytes, list[Any]] = {}  # key -> those that wait for it
        self._reserved: dict[bytes, int] = {}
        self._answers: list[tuple[bytes, Told | Exception]] = []
        self._ready: list[tuple[Any, Reply | NoAnswer]] = []
        self._wake, self._waker = os.pipe()
        self._loop: asyncio.AbstractEventLoop | None = None

    def fileno(self) -> int:
        """Readable when there are answers."""
        return self._wake

    def ask(self, question: Question, whom: Any) -> None:
        """Begins to answer; `answers` returns the reply with `whom`. Raises ModelSpent if the cap might be exceeded,
        NoReply in a replay without the reply."""
        name = key(self.model, question)
        self.asked += 1
        if name in self._known:
            self._ready.append((whom, self._known[name]))
            os.write(self._waker, b".")
        elif name in self._asking:
            self._asking[name].append(whom)
        else:
            self._begin(name, question)
            self._asking[name] = [whom]

    def _begin(self, name: bytes, question: Question) -> None:
        if self._provider is None:
            raise NoReply(f"a candidate asks {self.model} a question whose reply the run's ledger does not hold")
        most = max(size(question.messages), size(PLAIN.messages)) + self._use.reply_tokens
        most = max(most, self._largest)
        if self._cap is not None and self.spent + sum(self._reserved.values()) + most > self._cap:
            raise ModelSpent(
                f"candidates have used {self.spent:,} of at most {self._cap:,} tokens; resume with more "
                "(--candidate-tokens)"
            )
        if not self._allow(name, most):
            raise ModelSpent(
                "all runs of this referee service together have used up the tokens of candidates; its operator allows "
                "more with `toprope referee --candidate-tokens`"
            )
        self._reserved[name] = most
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
            self._thread.start()
        asyncio.run_coroutine_threadsafe(self._answered(name, self._told(self._provider, question)), self._loop)

    async def _told(self, provider: Provider, question: Question) -> Told:
        """A rejection counts against the question only if a plain question is answered, because an empty account
        rejects every question."""
        try:
            return await provider(question, self._use.reply_tokens)
        except Rejected:
            plain = await provider(PLAIN, self._use.reply_tokens)
            return Told("", plain.tokens, plain.dollars, refused=True)

    async def _answered(self, name: bytes, told: Awaitable[Told]) -> None:
        began = time.monotonic()
        answer: Told | Exception
        try:
            answer = reply = await told
            counted(reply.tokens, reply.dollars)
            self._waited = (self._waited[0] + 1, self._waited[1] + time.monotonic() - began)
        except Exception as e:  # a provider may raise anything
            answer = e
        self._answers.append((name, answer))
        with contextlib.suppress(OSError):  # closed meanwhile
            os.write(self._waker, b".")

    def answers(self) -> list[tuple[Any, Reply | NoAnswer]]:
        """(whom, reply) for all replies that have come. A failure of the provider, which is not a candidate's fault, is
        returned to those that wait and not kept."""
        os.read(self._wake, 1 << 16)
        while self._answers:
            name, told = self._answers.pop(0)
            del self._reserved[name]
            waiting = self._asking.pop(name)
            if isinstance(told, Exception):
                failed = self._failed(told)
                self._ready += [(whom, failed) for whom in waiting]
                continue
            text = told.text[: TOKEN * self._use.reply_tokens]
            text = text.encode("utf-8", "replace").decode()  # without lone surrogates
            reply = Reply(name, text, told.tokens, told.dollars, told.refused)
            self._keep(reply)
            self._known[name] = reply
            self.spent += reply.tokens
            self._largest = max(self._largest, reply.tokens)
            self._ready += [(whom, reply) for whom in waiting]
        ready, self._ready = self._ready, []
        return ready

    def _failed(self, why: Exception) -> NoAnswer:
        """The error without the provider's text, which only the operator sees."""
        kind, words = type(why).__name__, " ".join(str(why).split())
        self._say(f"model {self.model}: {kind}: {words[-600:]}")
        return NoAnswer(f"model {self.model} gave no answer ({kind}); resume when it answers again")

    @property
    def latency_s(self) -> float:
        """Mean seconds per reply in this session."""
        return self._waited[1] / max(1, self._waited[0])

    def close(self) -> None:
        if self._loop is not None:
            asyncio.run_coroutine_threadsafe(_give_up(), self._loop)
            self._thread.join()
            self._loop.close()
            self._loop = None
        if self._wake >= 0:
            os.close(self._wake)
            os.close(self._waker)
            self._wake = -1


def counted(tokens: int, dollars: float) -> None:
    """Raises ValueError for a negative or absurd bill: caps and ledger checks rely on it."""
    if not (0 <= tokens <= LARGEST and 0 <= dollars <= LARGEST):
        raise ValueError(f"the model says that it used {tokens} tokens for {dollars} dollars")


async def _give_up() -> None:
    """Cancels pending requests, then stops the loop."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for other in others:
        other.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    asyncio.get_running_loop().stop()


def scripted(task: Task) -> Provider:
    """The task's own script in place of a model. It counts four bytes as a token. Raises RunError for a task without a
    script."""
    if not has_script(task):
        raise RunError(f"task {task.spec.id} has no script in place of a model; name one with --candidate-model")
    script = task.scripted

    async def tell(question: Question, most: int) -> Told:
        try:
            text = script([(m.role, m.content) for m in question.messages], question.sample)
        except (ValueError, LookupError, ArithmeticError) as e:  # a question that the script does not know
            if question == PLAIN:
                return Told("yes", 0)
            raise Rejected(str(e)) from e
        return Told(text, (sum(len(m.content) for m in question.messages) + len(text)) // 4)

    return tell


def broker_for(
    task: Task,
    model: str = SCRIPTED,
    tokens: int | None = None,
    known: Iterable[Reply] = (),
    keep: Callable[[Reply], object] = lambda _: None,
    allow: Callable[[bytes, int], bool] = lambda *_: True,
    say: Callable[[str], None] = report_to_operator,
) -> Broker | None:
    """The broker for this task's candidates; None if the task allows no model."""
    use = task.spec.model
    if use is None:
        return None
    if model == SCRIPTED:
        return Broker(model, use, scripted(task))  # nothing to keep: the script is part of the task
    from toprope.models.provider import inspect_model

    return Broker(model, use, inspect_model(model), tokens, known, keep, allow, say)
