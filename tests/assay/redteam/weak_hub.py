"""The real hub with one promise taken out of it: `python weak_hub.py FD MUTATION`. Reachable from tests only."""

import sys
from collections.abc import Callable

import numpy as np

from toprope.referee import hub
from toprope.referee.gate import Gate
from toprope.referee.panel import HiddenPanel
from toprope.referee.recorded import Answer
from toprope.referee.vault import Vault
from toprope.stats.intervals import ratio


def raw_scores() -> None:
    """Every answer tells the candidate's value on the open slice."""
    honest = hub.Hub.attempt

    def attempt(self, candidate, *schedule):
        answer = honest(self, candidate, *schedule)
        n = self._task.spec.splits.val_slice
        (column,) = HiddenPanel(self._pool, "val", answer.slice).columns([candidate], n)
        told = ratio(column.counted, column.floors, column.ceilings)
        return Answer(answer.candidate, answer.promoted, answer.attempt, answer.slice, told, answer.release_slot)

    hub.Hub.attempt = attempt


def uncounted() -> None:
    """A refused attempt leaves no trace in the vault."""
    Vault.refuse = lambda self, run, slice_, attempt, *why: self._db.execute(
        "DELETE FROM attempts WHERE run=? AND slice=? AND attempt=?", (run, slice_, attempt)
    )


def late_count() -> None:
    """The attempt is counted after it was evaluated, so that a crash in between refunds it."""
    begin = Vault.begin_attempt
    owed = {}

    def later(self, run, slice_, candidate):
        owed["attempt"] = (self, run, slice_, candidate)
        (n,) = self._db.execute("SELECT count(*) FROM attempts WHERE run=? AND slice=?", (run, slice_)).fetchone()
        return n + 1, None

    judge = Gate.judge

    def counted_afterwards(self, *question):
        verdict = judge(self, *question)
        begin(*owed["attempt"])
        return verdict

    Vault.begin_attempt, Gate.judge = later, counted_afterwards


def failures_dropped() -> None:
    """Draws on which a candidate fails do not count."""
    columns = HiddenPanel.columns

    def lenient(self, candidates, n, *a, **k):
        ours, *others = columns(self, candidates, n, *a, **k)
        if not others:
            return [ours]
        keep = np.where(np.isnan(ours.scores), others[0].scores, ours.scores)
        return [ours._replace(scores=keep), *others]

    HiddenPanel.columns = lenient


def champion_spared() -> None:
    """Where the champion fails, the challenger is refused."""
    honest = Gate._pair

    def blaming(self, candidate, champion, seen, n, until):
        ours, _ = honest(self, candidate, champion, seen, n, until)
        (theirs,) = self._panel.columns([champion], n)
        return np.where(np.isnan(theirs.scores[seen:]), np.nan, ours), theirs.counted[seen:]

    Gate._pair = blaming


def run_once() -> None:
    """Nobody is run again before a PROMOTE."""
    HiddenPanel.steady = lambda *_: True


def slice_kept() -> None:
    """A PROMOTE burns nothing: the next attempt is asked on the draws of the first slice, whatever it is called."""
    start = HiddenPanel.__init__
    HiddenPanel.__init__ = lambda self, pool, split, slice_: start(self, pool, split, 1 if split == "val" else slice_)


def no_spending() -> None:
    """Every attempt may spend what would be worth nothing to spend once: one in five is lucky."""
    import toprope.referee.gate as gate

    vars(gate)["attempt_level"] = lambda *a, **k: float(np.log(2.0))


def no_schedule() -> None:
    """Answers leave when the hidden work is done."""
    start = hub.Hub.__init__

    def at_once(self, task, vault, run, pool, on_schedule=True):
        start(self, task, vault, run, pool, on_schedule=False)

    hub.Hub.__init__ = at_once


MUTATIONS: dict[str, Callable[[], None]] = {
    f.__name__: f
    for f in (
        raw_scores,
        uncounted,
        late_count,
        failures_dropped,
        champion_spared,
        run_once,
        slice_kept,
        no_spending,
        no_schedule,
    )
}

if __name__ == "__main__":
    MUTATIONS[sys.argv[2]]()
    hub.main()
