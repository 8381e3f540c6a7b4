"""What tasks in a folder have in common: their card, starter and baselines, and honeypots made of pairs."""

import numpy as np
import pytest

from toprope.errors import UsageError
from toprope.tasks.folder import Pairs
from toprope.tasks.new import new
from toprope.tasks.registry import load


@pytest.fixture
def folder(tmp_path, monkeypatch):
    new(tmp_path / "mine", "own/mine-v1")
    monkeypatch.setenv("TOPROPE_TASKS", str(tmp_path / "mine"))
    return tmp_path / "mine"


def test_files_are_read_from_where_the_class_is_written(folder):
    """The starter is the folder's; so is every baseline that `sources` names."""
    task = load("own/mine-v1")
    assert task.starter().files["solution.py"] == (folder / "starter" / "solution.py").read_bytes()
    assert {"constant", "dawid_skene"} <= set(task.baselines())


def test_a_baseline_without_its_folder_is_named(folder):
    """Where `sources` names one that is not there."""
    (folder / "baselines" / "constant").rename(folder / "baselines" / "other")
    with pytest.raises(UsageError, match="`sources` names constant, which has no folder baselines/constant"):
        load("own/mine-v1").baselines()


@pytest.mark.parametrize("size", [2, 7, 100])
def test_a_decoy_agrees_with_who_reads_it_and_with_nobody_else(size):
    """Who answers with the planted numbers agrees in every pair, who inverts them in none, a tie in none."""
    pairs = Pairs("gold", "answer", size, chances=True)
    decoy = pairs.decoy(np.random.default_rng(3))
    planted = decoy.arrays["gold"]
    assert ((planted >= 0) & (planted <= 1)).all()
    answers = np.stack([planted, -planted, np.zeros(size)])
    hits, n = pairs.agreement({"answer": answers}, decoy.coins)
    assert n == size // 2
    assert hits.tolist() == [n, 0, 0]


def test_the_coins_of_a_decoy_are_fair():
    """An answer that knows nothing agrees in half of the pairs."""
    pairs, rng = Pairs("gold", "answer", 100), np.random.default_rng(0)
    found = [pairs.agreement({"answer": rng.standard_normal((1, 100))}, pairs.decoy(rng).coins) for _ in range(200)]
    assert abs(sum(int(hits[0]) for hits, _ in found) / sum(n for _, n in found) - 0.5) < 0.02
