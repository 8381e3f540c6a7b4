"""Decoys in the process, planted before a candidate's code is loaded, and the check whether one was touched.

They are a switch and a credential in the environment, and a scorer among the modules. No code reads them, and no entry
point needs them. The candidate owns this process and can undo the check: a reported touch is real, but its absence
proves nothing.
"""

from __future__ import annotations

import os
import sys
import types
from typing import Any


def _score(outputs: Any, labels: Any) -> float:
    """The share of outputs on the same side of one half as their labels."""
    return float(((outputs > 0.5) == labels).mean())


class Decoys:
    """plan: environ {name: value}, switch (a name in it, or None), scorer (a module's name, or None)."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self.switch, self.value = plan["switch"], plan["environ"].get(plan["switch"])
        os.environ.update(plan["environ"])
        self.module: types.ModuleType | None = None
        if plan["scorer"] is not None:
            self.module = sys.modules[plan["scorer"]] = types.ModuleType(plan["scorer"])
            self.module.score = _score  # type: ignore[attr-defined]
        self.code = _score.__code__

    def touched(self) -> bytes:
        """The decoy that was changed since the last check, b"" if none; each is reported once."""
        if self.switch is not None and os.environ.get(self.switch, self.value) != self.value:
            self.switch = None
            return b"switch"
        if self.module is not None and (
            self.module.__dict__.get("score") is not _score or _score.__code__ is not self.code
        ):
            self.module = None
            return b"scorer"
        return b""
