"""One figure of `toprope check`."""

from __future__ import annotations

import msgspec


class Check(msgspec.Struct, frozen=True):
    """One figure, whether it is within its limit, and why that matters or what was found. advice: worth knowing, but
    never a reason to refuse the task."""

    name: str
    ok: bool
    value: float
    limit: float
    why: str
    advice: bool = False

    @property
    def admits(self) -> bool:
        return self.ok or self.advice
