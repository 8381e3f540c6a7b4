"""Records what PyTorch computes for the shipped visible weights, so that test_lm needs no PyTorch: run by hand."""

from pathlib import Path

import numpy as np
import torch

from toprope_tasks.w2s import corpus, lm, pretrain, task


def main() -> None:
    rng = np.random.default_rng(5)
    tokens = corpus.prompts(rng.integers(0, 10, 48), rng.integers(0, 10, (48, 5)))
    out = {"tokens": tokens.astype(np.int8)}
    for name, shape, weights in zip(("strong", "weak"), (lm.STRONG, lm.WEAK), lm.load(task.VISIBLE[0]), strict=True):
        tensors = {key: torch.from_numpy(value) for key, value in weights.items()}
        out[name] = pretrain.hidden(torch, tensors, shape, torch.from_numpy(tokens))[:, -1].numpy()
    np.savez_compressed(Path(__file__).with_name("torch_states.npz"), **out)


if __name__ == "__main__":
    main()
