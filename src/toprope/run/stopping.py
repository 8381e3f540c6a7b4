"""When a climb ends early because its user asked for it: `--until` and `--patience`.

This is decided at barriers from what the ledger holds, so that a resumed climb stops where it would have stopped.
"""

from __future__ import annotations

from toprope.journal.spec import RunSpec


class Stop:
    """The rule for a climb, checked at each barrier. `why`: the reason once it says stop, "" before."""

    def __init__(self, spec: RunSpec) -> None:
        self._spec = spec
        self._best, self._promotions, self._since = float("-inf"), 0, 0
        self.why = ""

    def state(self) -> list[float]:
        return [self._best, self._promotions, self._since]

    def restore(self, state: list[float]) -> None:
        self._best, self._promotions, self._since = state[0], int(state[1]), int(state[2])

    def barrier(self, experiments: int, best: float | None, promotions: int, measured: float | None) -> bool:
        """Whether to stop. experiments, promotions: number so far. best: dev value so far. measured: value of the
        champion, if one was promoted."""
        if (best is not None and best > self._best) or promotions > self._promotions:
            self._since = experiments
        self._best, self._promotions = max(self._best, best if best is not None else self._best), promotions
        self.why = reason(self._spec, experiments, self._since, measured)
        return bool(self.why)


def reason(spec: RunSpec, experiments: int, since: int, measured: float | None) -> str:
    """Why the climb is over; empty while it is not. since: number of experiments at the last improvement."""
    if spec.until is not None and measured is not None and measured >= spec.until:
        return f"the champion's measured value {measured:.4f} has reached --until {spec.until:g}"
    if spec.patience is not None and experiments - since >= spec.patience:
        told = f"{experiments - since} experiments brought no better practice value and no promotion"
        return f"{told} (--patience {spec.patience})"
    return ""
