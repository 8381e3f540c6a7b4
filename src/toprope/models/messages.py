"""A candidate's questions to a model, and the replies."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Literal, NamedTuple

import msgspec

SCRIPTED = "scripted"  # the name of the model if the task's own script replaces one


class Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    role: Literal["system", "user", "assistant"]
    content: str


class Question(msgspec.Struct, frozen=True, tag=True):
    """A candidate's question to the model that its task allows, on its way to the broker. sample: which of several
    replies to the same messages."""

    messages: list[Message]
    sample: int = 0


class Reply(msgspec.Struct, frozen=True, tag=True):
    """An archived record: a ledger keeps it, so that a field may only be added, with a default.

    key: 32 bytes, of model, messages and sample (`limits.key`). tokens: in and out, by the provider's own count.
    dollars: by its price list, 0 without one. refused: the provider takes other questions, but not this one."""

    key: bytes
    text: str
    tokens: int
    dollars: float = 0.0
    refused: bool = False


class Told(NamedTuple):
    """A provider's reply. tokens: in and out, by its own count. dollars: by its price list, 0 without one. refused: it
    does not take this question."""

    text: str
    tokens: int
    dollars: float = 0.0
    refused: bool = False


class Rejected(Exception):
    """A provider's word that it does not take this question: too long, against its rules, of a form that it has not."""


Provider = Callable[[Question, int], Awaitable[Told]]
"""(question, most tokens of a reply) -> what was said. Raises Rejected, or whatever it likes for an outage."""
