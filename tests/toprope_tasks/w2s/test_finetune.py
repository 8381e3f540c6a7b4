"""The fine-tuning tier: needs PyTorch, which the fast suite does without."""

import sys

import numpy as np
import pytest

from toprope.errors import UsageError
from toprope_tasks.w2s.finetune import make


def test_without_torch_one_line_says_what_to_install(monkeypatch):
    """Before any draw is made."""
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(UsageError, match=r"toprope\[torch\]"):
        make("w2s/finetune-v1").prepare("dev", lambda what, done: None)


@pytest.fixture(scope="module")
def draw():
    pytest.importorskip("torch")
    tuning = make("w2s/finetune-v1")
    return tuning, tuning.generate("dev", 0, 3)


def test_gold_targets_reach_the_ceiling_and_noise_does_not(draw):
    """Training on the pool's labels is how the ceiling was measured; coins teach nothing."""
    task, d = draw
    gold = d.private.pool_labels.astype(np.float32)
    coins = np.random.default_rng(0).integers(0, 2, len(gold)).astype(np.float32)
    ones = np.ones((2, len(gold)), np.float32)
    right, wrong = task.score({"soft_targets": np.stack([gold, coins]), "weights": ones}, d)
    assert right == d.ceiling
    assert wrong < d.floor
    assert d.ceiling > d.floor + 0.1


def test_a_variant_scores_the_same_alone_and_beside_others(draw):
    """Weights of all zeros count as equal ones, in any company."""
    task, d = draw
    w = d.public["pool_weak_probs"]
    two = {"soft_targets": np.stack([w, 1 - w]), "weights": np.stack([np.zeros_like(w), np.ones_like(w)])}
    one = {"soft_targets": w[None], "weights": np.ones((1, len(w)), np.float32)}
    assert task.score(two, d)[0] == task.score(one, d)[0]
