"""The referee's student of the fine-tuning tier: the strong language model, all weights trained (needs PyTorch).

A linear head on the state at `=` gives the probability of class 1. Weighted cross-entropy on soft targets, Adam, a few
passes in an order that the draw fixes; one thread, so that the result does not depend on the machine's load.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from toprope.errors import UsageError
from toprope.types import Floats
from toprope_tasks.w2s import lm, pretrain, student
from toprope_tasks.w2s.corpus import Ints

BATCH, PASSES, RATE = 64, 2, 3e-4


class Texts(msgspec.Struct, frozen=True):
    """What the student reads: prompts of pool (n, 7) and test (m, 7), the model's weights, the seed of its order."""

    pool: Ints
    test: Ints
    weights: lm.Weights
    seed: int


def torch_or_error() -> Any:
    """PyTorch. Raises UsageError if it is not installed."""
    try:
        import torch
    except ImportError:
        raise UsageError(
            "w2s/finetune-v1 needs PyTorch, which is not installed; pip install 'toprope[torch]'"
        ) from None
    return torch


def probabilities(texts: Texts, targets: NDArray[Any], weights: NDArray[Any]) -> Floats:
    """(m,) probability of class 1 of the test prompts after training on targets (n,) in [0, 1] with weights (n,)."""
    torch = torch_or_error()
    torch.set_num_threads(1)
    w = {name: torch.tensor(value, requires_grad=True) for name, value in texts.weights.items()}
    head = torch.zeros(lm.STRONG.width + 1, requires_grad=True)
    t = torch.tensor(np.asarray(targets, np.float32))
    u = torch.tensor((student.normalised(weights[None])[0] * len(weights)).astype(np.float32))
    pool = torch.from_numpy(texts.pool)
    optimizer = torch.optim.Adam([*w.values(), head], lr=RATE)
    rng = np.random.default_rng(texts.seed)
    for _ in range(PASSES):
        order = torch.from_numpy(rng.permutation(len(pool)))
        for rows in order.split(BATCH):
            each = torch.nn.functional.binary_cross_entropy_with_logits(
                _logit(torch, w, head, pool[rows]), t[rows], reduction="none"
            )
            optimizer.zero_grad()
            (each * u[rows]).mean().backward()
            optimizer.step()
    with torch.inference_mode():
        logit = _logit(torch, w, head, torch.from_numpy(texts.test))
        return np.asarray(torch.sigmoid(logit).numpy(), dtype=np.float64)


def _logit(torch: Any, w: dict[str, Any], head: Any, tokens: Any) -> Any:
    state = pretrain.hidden(torch, w, lm.STRONG, tokens, last=True)[:, -1]
    return pretrain.normed(state) @ head[:-1] + head[-1]
