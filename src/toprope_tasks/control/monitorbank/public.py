"""The public part of `control/monitor-bank-v1`: sizes, the encoding of transcripts, and the dialogue."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toprope.protocols import Dialogue
from toprope.types import Array, Call, Round

ITEMS = 14  # transcripts of a draw


def pack(transcripts: list[list[dict[str, Any]]]) -> NDArray[np.uint8]:
    """(size,) UTF-8 bytes of a JSON list with one list of arguments for each transcript."""
    return np.frombuffer(json.dumps([[t] for t in transcripts]).encode(), np.uint8)


def dialogue(entries: frozenset[str]) -> Dialogue:
    """suspicion of one transcript after the other. Returns suspicion (k, ITEMS). Raises ValueError if it is missing."""
    if "suspicion" not in entries:
        raise ValueError("the candidate does not define suspicion(transcript, *, model, params, rng)")
    return _ask()


def _ask() -> Dialogue:
    said = Array("suspicion", "f8", (ITEMS,))
    return (yield Round((Call("suspicion", returns=(said,), items="transcripts"),)))
