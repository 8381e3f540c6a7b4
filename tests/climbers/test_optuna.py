"""Optuna's samplers as climbers: the contract, on a real study."""

import sys

import numpy as np
import pytest

from toprope.climbers.registry import make
from toprope.errors import UsageError
from toprope.journal.spec import RunSpec, Search
from toprope.protocols import Results
from toprope.space import Space, choice, linear
from toprope.testing.climbers import ClimberContract
from toprope.types import Outcome

SPACE = Space([linear("x", 0.0, 1.0, 41, 0.0), linear("y", 0.0, 1.0, 41, 0.0), choice("kind", ["a", "b", "c"])])


def test_a_run_names_it_like_any_climber():
    """Although its name looks like MODULE:CLASS."""
    spec = RunSpec.from_keywords("testing/coin-v1", "optuna:tpe", experiments=3)
    assert spec.climber == Search("optuna:tpe")
    assert "optuna:tpe" in spec.argv()


def test_without_optuna_one_line_says_what_to_install(monkeypatch):
    """Optuna is an extra."""
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(UsageError, match=r"toprope\[optuna\]"):
        make("optuna:tpe", SPACE, 0)


class Installed:
    """Skips where the extra is not installed."""

    name = ""

    def make_climber(self, space, seed):
        pytest.importorskip("cmaes")
        pytest.importorskip("optuna")
        return make(self.name, space, seed)

    def test_it_climbs(self):
        """After 200 proposals its last ones are better than its first ones, on a smooth score with a best category."""
        climber = self.make_climber(SPACE, 1)
        values = []
        for _ in range(20):
            rows = climber.ask(10)
            score = -((rows[:, 0] - 30.0) ** 2 + (rows[:, 1] - 8.0) ** 2) / 1000 + (rows[:, 2] == 2)
            climber.tell(Results(rows, score, np.full(10, 4), [Outcome.OK] * 10))
            values.append(score.mean())
        assert np.mean(values[-5:]) > np.mean(values[:5]) + 0.2


class TestTpe(Installed, ClimberContract):
    """Tree-structured Parzen estimators."""

    name = "optuna:tpe"


class TestCmaEs(Installed, ClimberContract):
    """CMA-ES."""

    name = "optuna:cmaes"
