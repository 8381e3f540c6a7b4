"""Records what PyTorch computes for the shipped visible weights, so that tests of the models need no PyTorch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from toprope_tasks.w2s import corpus, lm, pretrain, task


def main(output: Path) -> None:
    import torch

    rng = np.random.default_rng(5)
    tokens = corpus.prompts(rng.integers(0, 10, 48), rng.integers(0, 10, (48, 5)))
    out: dict[str, Any] = {"tokens": tokens.astype(np.int8)}
    for name, shape, weights in zip(("strong", "weak"), (lm.STRONG, lm.WEAK), lm.load(task.VISIBLE[0]), strict=True):
        tensors = {key: torch.from_numpy(value) for key, value in weights.items()}
        out[name] = pretrain.hidden(torch, tensors, shape, torch.from_numpy(tokens))[:, -1].numpy()
    np.savez_compressed(output, **out)
