"""Pretrains one lineage, a strong and a weak language model, on the generated corpus. Needs PyTorch (`[torch]`).

Used to make the shipped weights and, by `toprope vault pretrain`, the private ones that make a vault certify. One
thread, CPU: a few minutes. Same seed, other PyTorch version or machine: other weights. What counts is the recorded
hash, not the seed.
"""

from __future__ import annotations

import hashlib
import json
import math
import secrets
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toprope.errors import UsageError
from toprope.protocols import Progress
from toprope_tasks.w2s import corpus, lm

BATCH, DECAY, WARMUP = 128, 0.01, 50
RATE = {"strong": 2e-3, "weak": 5e-3}
EMBEDDING_SD = 0.2  # at .02 the weak model learns half as much in its 400 steps
STEPS = {"strong": 2500, "weak": 400}
INPUT_WEIGHT = 0.1  # loss weight of the six input tokens, which are random: 1 on the rest
PRIVATE = "w2s-hidden.npz"  # in a vault
SHAPES = {"strong": lm.STRONG, "weak": lm.WEAK}


def pretrain(seed: int, out_path: Path, progress: Progress, steps: dict[str, int] | None = None) -> dict[str, Any]:
    """Train both models from one seed, write OUT.npz (half precision) and OUT.json beside it, return the record.

    Raises UsageError if PyTorch is not installed.
    """
    torch = _torch()
    steps = steps or STEPS
    arrays: dict[str, Any] = {}
    record: dict[str, Any] = {"seed": seed, "batch": BATCH, "torch": str(torch.__version__), "steps": steps}
    for which, (name, shape) in enumerate(SHAPES.items()):
        weights, accuracy = _train(torch, name, shape, [seed, which], steps[name], progress)
        arrays.update({f"{name}.{key}": value for key, value in weights.items()})
        record[name] = {
            "sha256": lm.digest(weights),
            "parameters": sum(w.size for w in weights.values()),
            "answer_accuracy": accuracy,
        }
    np.savez(out_path, **arrays)
    out_path.with_suffix(".json").write_text(json.dumps(record, indent=1) + "\n")
    return record


def for_vault(vault: Path, seed: int | None, progress: Progress) -> dict[str, Any]:
    """Private hidden weights in a vault's directory, mode 0600, used by its runs from then on.

    seed: random if None, and then nobody can make the same weights again. Raises UsageError rather than overwrite any.
    """
    _torch()
    path = vault / PRIVATE
    if path.exists():
        raise UsageError(f"{path} exists; runs of this vault use it. Move it away to make new private weights")
    vault.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=vault) as folder:
        made = Path(folder) / PRIVATE
        record = pretrain(secrets.randbits(63) if seed is None else seed, made, progress)
        for name in (made.with_suffix(".json"), made):
            name.chmod(0o600)
            name.rename(vault / name.name)
    del record["seed"]  # it stays in the vault; printed, it would end in a log
    return {"path": str(path), "sha256": hashlib.sha256(path.read_bytes()).hexdigest(), **record}


def _torch() -> Any:
    try:
        import torch
    except ImportError:
        raise UsageError("pretraining needs PyTorch, which is not installed; pip install 'toprope[torch]'") from None
    return torch


def _train(
    torch: Any, name: str, shape: lm.Shape, seed: list[int], steps: int, progress: Progress
) -> tuple[dict[str, NDArray[np.float16]], float]:
    """AdamW, linear warm-up, cosine to zero. Returns weights rounded to half precision, as they are kept, and the
    accuracy of the rounded model's answer at `=`."""
    rng = np.random.default_rng(seed)
    torch.set_num_threads(1)
    params = {key: torch.tensor(value, requires_grad=True) for key, value in initial(shape, rng).items()}
    optimizer = torch.optim.AdamW(list(params.values()), lr=RATE[name], weight_decay=DECAY)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = RATE[name] * _schedule(step, steps)
        loss = line_loss(torch, params, shape, corpus.lines(BATCH, rng))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 50 == 0:
            progress(f"pretraining {name} model, loss {loss.item():.3f}", step / steps)
    weights = {key: p.detach().numpy().astype(np.float16) for key, p in params.items()}
    return weights, answer_accuracy({key: w.astype(np.float32) for key, w in weights.items()}, shape)


def _schedule(step: int, steps: int) -> float:
    return min(1.0, (step + 1) / WARMUP) * 0.5 * (1 + math.cos(math.pi * step / steps))


def initial(shape: lm.Shape, rng: np.random.Generator) -> lm.Weights:
    """Gaussian start, sd .2 for embeddings and 1/sqrt(fan in) for matrices, smaller where they write to the stream."""
    d = shape.width
    sizes = {"qkv": (d, 3 * d), "proj": (d, d), "up": (d, 4 * d), "down": (4 * d, d)}
    weights = {}
    for name in lm.names(shape):
        kind = name.rstrip("0123456789")
        rows, cols = sizes.get(kind, (corpus.VOCAB if kind == "tok" else corpus.LINE, d))
        scale = EMBEDDING_SD if kind in ("tok", "pos") else rows**-0.5
        if kind in ("proj", "down"):
            scale /= math.sqrt(2 * shape.layers)
        weights[name] = (rng.standard_normal((rows, cols)) * scale).astype(np.float32)
    return weights


def hidden(torch: Any, w: dict[str, Any], shape: lm.Shape, tokens: Any, last: bool = False) -> Any:
    """(n, t, d) last-layer states, the PyTorch twin of `lm.states`. last: (n, 1, d), of the last token alone; the last
    layer then computes no other."""
    x = w["tok"][tokens] + w["pos"][: tokens.shape[1]]
    n, _, d = x.shape
    for i in range(shape.layers):
        y, qkv = normed(x), w[f"qkv{i}"]
        few = last and i == shape.layers - 1
        if few:
            x = x[:, -1:]
            parts = [y[:, -1:] @ qkv[:, :d], *(y @ qkv[:, d:]).split(d, 2)]
        else:
            parts = (y @ qkv).split(d, 2)
        q, k, v = (z.view(n, -1, shape.heads, d // shape.heads).transpose(1, 2) for z in parts)
        mixed = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=not few)
        x = x + mixed.transpose(1, 2).flatten(2) @ w[f"proj{i}"]
        x = x + torch.relu(normed(x) @ w[f"up{i}"]) @ w[f"down{i}"]
    return x


def normed(x: Any) -> Any:
    """The norm of every layer, without gain."""
    return x * (x.square().mean(-1, keepdim=True) + 1e-6).rsqrt()


def line_loss(torch: Any, w: dict[str, Any], shape: lm.Shape, lines: corpus.Ints) -> Any:
    """Weighted mean cross-entropy of the next token over a batch of padded lines."""
    tokens = torch.from_numpy(lines)
    x = hidden(torch, w, shape, tokens[:, :-1])
    logits = normed(x) @ w["tok"].T
    target = tokens[:, 1:]
    weight = torch.ones(target.shape)
    weight[:, : corpus.PROMPT - 1] = INPUT_WEIGHT
    weight[target == corpus.PAD] = 0
    each = torch.nn.functional.cross_entropy(logits.flatten(0, 1), target.flatten(), reduction="none")
    return (each * weight.flatten()).sum() / weight.sum()


def answer_accuracy(weights: lm.Weights, shape: lm.Shape, n: int = 4000) -> float:
    """Share of fresh lines whose likeliest digit at `=` is the right answer."""
    rng = np.random.default_rng([9, n])
    ops, digits = rng.integers(0, 10, n), rng.integers(0, 10, (n, 5))
    out = lm.logits(weights, lm.states(weights, shape, corpus.prompts(ops, digits)))
    return float(np.mean(out[:, :10].argmax(1) == corpus.answers(ops, digits)))
