"""`model(messages)`: how a candidate asks the language model that its task allows. The question leaves as notes through
the child's socket; the scorer checks, counts and answers it. This process has neither network nor key nor address."""

from __future__ import annotations

import json
from typing import Any

PART_MAX = 32768  # bytes of one note


class Model:
    """The function `model` of one variant."""

    def __init__(self, channel: Any, variant: int) -> None:
        """channel: the child's socket (`channel.ParentChannel`)."""
        self._channel, self._variant = channel, variant

    def __call__(self, messages: Any, *, sample: int = 0) -> str:
        """The model's reply to [{"role": "system" | "user" | "assistant", "content": text}, ...].

        sample: the same question with the same sample has the same reply; another sample asks again. Raises
        RuntimeError for a malformed or too long question, and for more calls than the task allows on a draw.
        """
        text = json.dumps([messages, sample]).encode()
        cuts = [text[at : at + PART_MAX] for at in range(0, len(text), PART_MAX)]
        for part in cuts[:-1]:
            self._channel.note(b"P", self._variant, part)
        self._channel.note(b"Q", self._variant, cuts[-1])
        answer = self._channel.receive()
        if "refused" in answer.meta:
            raise RuntimeError(answer.meta["refused"])
        reply: str = bytes(answer.blob).decode()
        return reply
