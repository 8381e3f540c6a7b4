"""When a climb has come as far as its user asked: `--until` and `--patience`.

Decided at barriers, from what the ledger holds there, so that a resumed climb stops where it would have stopped.
"""

from __future__ import annotations

from toprope.journal.spec import RunSpec


class Stop:
    """For a climb that goes barrier by barrier."""

    def __init__(self, spec: RunSpec) -> None:
        self._spec = spec
        self._best, self._promotions, self._since = float("-inf"), 0, 0
        self.why = ""

    def barrier(self, experiments: int, best: float | None, promotions: int, measured: float | None) -> bool:
        """best: dev value so far. promotions: so far. measured: value of the champion, if one was promoted."""
        if (best is not None and best > self._best) or promotions > self._promotions:
            self._since = experiments
        self._best, self._promotions = max(self._best, best if best is not None else self._best), promotions
        self.why = reason(self._spec, experiments, self._since, measured)
        return bool(self.why)


def reason(spec: RunSpec, experiments: int, since: int, measured: float | None) -> str:
    """Why the climb is over, empty while it is not. since: experiments when something last became better."""
    if spec.until is not None and measured is not None and measured >= spec.until:
        return f"the champion's measured value {measured:.4f} has reached --until {spec.until:g}"
    if spec.patience is not None and experiments - since >= spec.patience:
        told = f"{experiments - since} experiments brought no better practice value and no promotion"
        return f"{told} (--patience {spec.patience})"
    return ""
