"""Samplers of Optuna as climbers: `--climber optuna:tpe` and `--climber optuna:cmaes` (extra `optuna`).

Optuna (Akiba et al. 2019, arXiv:1907.10902) proposes one point at a time from all results so far, kept in memory; TPE's
cost of a proposal grows with their number. Ordered dimensions are integers to it, others are categories. CMA-ES works
on ordered dimensions and draws the others at random.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from toprope.errors import UsageError
from toprope.protocols import Results
from toprope.space import Space
from toprope.types import Codes, Outcome


class _Sampler:
    """A study without a store. The first proposal is the default point. Raises UsageError without Optuna."""

    def __init__(self, space: Space, seed: int, make: Callable[[Any, int], Any]) -> None:
        try:
            import optuna
        except ImportError as e:
            raise UsageError(
                f"climbers of Optuna need it ({e}); install the extra: pip install 'toprope[optuna]'"
            ) from None
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._optuna, self._space = optuna, space
        with warnings.catch_warnings():  # Optuna's own words about which of its samplers are experimental
            warnings.simplefilter("ignore")
            self._study = optuna.create_study(direction="maximize", sampler=make(optuna, seed))
        self._study.enqueue_trial({d.name: int(code) for d, code in zip(space.dims, space.default(), strict=True)})
        self._trials: list[Any] = []

    def ask(self, n: int) -> Codes:
        rows = np.empty((n, len(self._space.dims)), np.uint8)
        for row in rows:
            trial = self._study.ask()
            self._trials.append(trial)
            for i, d in enumerate(self._space.dims):
                top = len(d.levels) - 1
                row[i] = (
                    trial.suggest_int(d.name, 0, top)
                    if d.ordered or not top
                    else trial.suggest_categorical(d.name, list(range(top + 1)))
                )
        return rows

    def tell(self, results: Results) -> None:
        failed = self._optuna.trial.TrialState.FAIL
        trials, self._trials = self._trials[: len(results.rows)], self._trials[len(results.rows) :]
        for trial, value, outcome in zip(trials, results.values.tolist(), results.outcomes, strict=True):
            if outcome is Outcome.OK:
                self._study.tell(trial, value)
            else:
                self._study.tell(trial, state=failed)


class Tpe(_Sampler):
    """Tree-structured Parzen estimators (Bergstra et al. 2011), with Optuna's defaults; proposals of one generation
    keep away from each other (`constant_liar`)."""

    def __init__(self, space: Space, seed: int) -> None:
        super().__init__(space, seed, lambda o, s: o.samplers.TPESampler(seed=s, constant_liar=True))


class CmaEs(_Sampler):
    """CMA-ES (Hansen 2016, arXiv:1604.00772) from the package `cmaes`, with Optuna's defaults."""

    def __init__(self, space: Space, seed: int) -> None:
        super().__init__(space, seed, lambda o, s: o.samplers.CmaEsSampler(seed=s, warn_independent_sampling=False))
