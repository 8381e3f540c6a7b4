"""A scorer's side of a model call: checks form, size and number of questions, and returns the answers."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import msgspec

from toprope import wire
from toprope.models.messages import Message, Question, Reply
from toprope.protocols import ModelUse
from toprope.sandbox.job import QuestionRefused

_Form = tuple[list[Message], int]
EACH = 16  # bytes that a message counts in addition to its own
FORM = 'a list of {"role": "system", "user" or "assistant", "content": text}, and a whole number as sample'


def key(model: str, question: Question) -> bytes:
    """32 bytes by which a question is cached and replayed: a digest of model name, messages and sample."""
    return hashlib.sha256(wire.encode((model, question.messages, question.sample))).digest()


def size(messages: list[Message]) -> int:
    """Bytes of a question as the limits count them."""
    return sum(len(m.content.encode()) + len(m.role) + EACH for m in messages)


class QuestionLimiter:
    """Answers the questions of one block's variants, draw by draw.

    Calls are counted per draw and variant, so that a variant may ask the same in isolation as in a block. A repeated
    question counts once, because a restarted child repeats itself. The child says which variant asks; if it lies, it
    uses up the calls of other variants in its own block.
    """

    def __init__(self, use: ModelUse, pass_on: Callable[[Question], Reply]) -> None:
        self._use, self._pass_on = use, pass_on
        self._asked: dict[tuple[int, bytes], Reply] = {}
        self._calls: dict[int, int] = {}

    def begin(self) -> None:
        """Resets the counts for a new draw."""
        self._asked.clear()
        self._calls.clear()

    def __call__(self, raw: bytes, variant: int) -> str:
        """The reply. raw: hostile bytes from a child. Raises QuestionRefused with a message for the candidate."""
        use = self._use
        try:
            messages, sample = msgspec.json.decode(raw, type=_Form)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as e:
            raise QuestionRefused(f"model: malformed question ({str(e)[:200]}); expected {FORM}") from None
        if not messages or not 0 <= sample < 2**31:
            raise QuestionRefused(f"model: malformed question; expected {FORM}")
        if size(messages) > use.prompt_bytes:
            raise QuestionRefused(
                f"model: a question of {size(messages)} bytes, with {EACH} and its role for a message; "
                f"this task allows {use.prompt_bytes}"
            )
        question = Question(messages, sample)
        known = variant, key("", question)
        if known not in self._asked:
            if self._calls.get(variant, 0) == use.calls:
                raise QuestionRefused(f"model: this task allows {use.calls} calls on a draw")
            self._calls[variant] = self._calls.get(variant, 0) + 1
            self._asked[known] = self._pass_on(question)
        if self._asked[known].refused:
            raise QuestionRefused("model: its provider does not take this question")
        return self._asked[known].text
