"""The bank: hidden states of both models on fixed random prompts, built once per pair of weights, then drawn from.

A forward pass per draw would cost 400 ms; sampling rows of a bank costs one. There are only 1e5 digit strings, so fresh
prompts would mean little anyway: what is fresh in a draw is cell, sample, teacher and transform. Cached by the hash of
the weights; the folder is renamed into place whole, so two processes building at once both end with a good one.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from toprope import paths
from toprope.protocols import Progress
from toprope_tasks.w2s import corpus, lm
from toprope_tasks.w2s.cells import USABLE

VERSION = 1
LINES_PER_OP = 8_000
PARTS = ("strong", "weak", "sure", "ops", "digits")
STEP = 2048  # prompts between two reports of progress


class StateBank(msgspec.Struct, frozen=True):
    """Memory-mapped columns over all prompts. strong (N, 96), weak (N, 24): float32, each column with mean 0, sd 1.

    sure (N,): lead of the strong model's likeliest next token over the second, in nats. ops (N,), digits (N, 5).
    """

    strong: NDArray[np.float32]
    weak: NDArray[np.float32]
    sure: NDArray[np.float32]
    ops: NDArray[np.int64]
    digits: NDArray[np.int64]

    @property
    def answers(self) -> corpus.Ints:
        return corpus.answers(np.asarray(self.ops), np.asarray(self.digits))


def open_bank(weights: Path, progress: Progress, lines_per_op: int = LINES_PER_OP) -> StateBank:
    """The bank of a weights file, from the cache or built now (some 7 s)."""
    strong, weak = lm.load(weights)
    identity = lm.digest({f"s{k}": v for k, v in strong.items()} | {f"w{k}": v for k, v in weak.items()})
    folder = paths.states("w2s") / f"bank-{VERSION}-{lines_per_op}-{identity[:24]}"
    if not folder.is_dir():
        _install(build(strong, weak, progress, lines_per_op), folder)
    return StateBank(*(np.load(folder / f"{part}.npy", mmap_mode="r", allow_pickle=False) for part in PARTS))


def build(strong: lm.Weights, weak: lm.Weights, progress: Progress, lines_per_op: int = LINES_PER_OP) -> StateBank:
    """Run both models over the prompts, which are the same for every pair of weights."""
    rng = np.random.default_rng([VERSION, lines_per_op])
    ops = np.repeat(np.array(USABLE), lines_per_op)
    digits = rng.integers(0, 10, (len(ops), 5))
    tokens = corpus.prompts(ops, digits)
    states, small = [], []
    for start in range(0, len(tokens), STEP):
        progress("computing hidden states", start / len(tokens))
        states.append(lm.states(strong, lm.STRONG, tokens[start : start + STEP]))
        small.append(lm.states(weak, lm.WEAK, tokens[start : start + STEP]))
    progress("computing hidden states", 1.0)
    hidden = np.concatenate(states)
    top = np.sort(lm.logits(strong, hidden), 1)
    return StateBank(_standard(hidden), _standard(np.concatenate(small)), top[:, -1] - top[:, -2], ops, digits)


def _standard(x: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray((x - x.mean(0)) / (x.std(0) + 1e-6), dtype=np.float32)


def _install(bank: StateBank, folder: Path) -> None:
    """Writes to a private folder, then renames it; a process that comes second throws its own copy away."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=".building-", dir=folder.parent))  # mode 0700: private weights stay private
    try:
        for part in PARTS:
            column: NDArray[Any] = getattr(bank, part)
            np.save(fresh / f"{part}.npy", column, allow_pickle=False)
        try:
            fresh.rename(folder)
        except OSError:
            if not folder.is_dir():
                raise
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
