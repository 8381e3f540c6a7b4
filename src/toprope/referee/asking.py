"""A scorer's side of a model call: is it a question, is it one too many, and what is the answer."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import msgspec

from toprope import wire
from toprope.protocols import ModelUse
from toprope.referee.messages import Question, Reply, Said
from toprope.sandbox.job import Refused

_Form = tuple[list[Said], int]
FORM = 'a list of {"role": "system", "user" or "assistant", "content": text}, and a whole number as sample'


def key(model: str, question: Question) -> bytes:
    """(32,) what a question is cached and replayed by: the model's name, the messages, the sample."""
    return hashlib.sha256(wire.encode((model, question.messages, question.sample))).digest()


class Asking:
    """Answers the questions of one block's variants, draw by draw.

    The calls of a draw are counted over the variants of a block together, and a question asked twice counts once: a
    child that has to be started again repeats itself.
    """

    def __init__(self, use: ModelUse, variants: int, pass_on: Callable[[Question], Reply]) -> None:
        self._use, self._pass_on = use, pass_on
        self._most = use.calls * variants
        self._asked: dict[bytes, str] = {}

    def begin(self) -> None:
        """A new draw."""
        self._asked.clear()

    def __call__(self, raw: bytes) -> str:
        """The reply. raw: what a child sent, hostile. Raises Refused in words for the candidate."""
        use = self._use
        try:
            messages, sample = msgspec.json.decode(raw, type=_Form)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as e:
            raise Refused(f"model: that is no question ({str(e)[:200]}); expected {FORM}") from None
        if not messages or not 0 <= sample < 2**31:
            raise Refused(f"model: that is no question; expected {FORM}")
        size = sum(len(m.content.encode()) for m in messages)
        if size > use.prompt_bytes:
            raise Refused(f"model: a question of {size} bytes; this task allows {use.prompt_bytes}")
        question = Question(messages, sample)
        known = key("", question)
        if known not in self._asked:
            if len(self._asked) == self._most:
                raise Refused(f"model: this task allows {use.calls} calls on a draw")
            self._asked[known] = self._pass_on(question).text
        return self._asked[known]
