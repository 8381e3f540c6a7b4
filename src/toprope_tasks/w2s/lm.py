"""Forward pass of the tiny language models in NumPy: what turns prompts into hidden states without PyTorch.

Decoder-only transformer: token and position embeddings, RMSNorm without gain, multi-head causal attention, ReLU
feed-forward of width 4 d, no biases anywhere, output by the transposed embedding. The state of a prompt is the last
layer's output at `=`, before the final norm. `pretrain` holds the same model in PyTorch; a test holds the two together.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from toprope.errors import UsageError
from toprope_tasks.w2s import corpus

F4 = NDArray[np.float32]
EPS = np.float32(1e-6)
HEADER_MAX = 4096  # bytes of a member before its numbers
LARGEST = 65504.0  # what half precision holds
CHUNK = 512  # rows at a time: activations of a chunk stay in cache


class Shape(msgspec.Struct, frozen=True):
    """Size of a model. width: d; heads divide it."""

    width: int
    layers: int
    heads: int


STRONG = Shape(width=96, layers=3, heads=4)
WEAK = Shape(width=24, layers=1, heads=4)

Weights = dict[str, F4]  # names as in `names(shape)`, matrices as (in, out)


def names(shape: Shape) -> list[str]:
    """Every weight matrix of a model, in storage order."""
    layers = [f"{kind}{i}" for i in range(shape.layers) for kind in ("qkv", "proj", "up", "down")]
    return ["tok", "pos", *layers]


def digest(weights: Mapping[str, NDArray[np.floating]]) -> str:
    """sha256 over names, shapes and float32 bytes: the identity of a pretrained model."""
    h = hashlib.sha256()
    for name in sorted(weights):
        h.update(f"{name}{weights[name].shape}".encode())
        h.update(np.ascontiguousarray(weights[name], dtype="<f4").tobytes())
    return h.hexdigest()


def sizes(shape: Shape) -> dict[str, tuple[int, int]]:
    """(rows, columns) of every weight matrix of a model."""
    d = shape.width
    inner = {"qkv": (d, 3 * d), "proj": (d, d), "up": (d, 4 * d), "down": (4 * d, d)}
    outer = {"tok": (corpus.VOCAB, d), "pos": (corpus.LINE, d)}
    return {name: outer.get(name) or inner[name.rstrip("0123456789")] for name in names(shape)}


def load(path: Path) -> tuple[Weights, Weights]:
    """(strong, weak) weights of one lineage from the .npz written by `pretrain`, kept there in half precision.

    Raises UsageError naming the file and the matrix that is missing, of another shape or type, or not finite. Nothing
    is allocated because a header says so.
    """
    try:
        with zipfile.ZipFile(path) as z:
            return _model(z, "strong", STRONG), _model(z, "weak", WEAK)
    except UsageError as e:
        raise UsageError(f"weights {path}: {e}; expected an .npz made by `toprope vault pretrain`") from None
    except Exception as e:  # zipfile and numpy have a dozen ways to refuse a damaged file, one per codec
        said = f"{type(e).__name__} {str(e)[:200]!r}"
        raise UsageError(f"weights {path}: damaged, {said}; expected an .npz made by `toprope vault pretrain`") from e


def _model(z: zipfile.ZipFile, lineage: str, shape: Shape) -> Weights:
    return {name: _matrix(z, f"{lineage}.{name}", size) for name, size in sizes(shape).items()}


def _matrix(z: zipfile.ZipFile, name: str, size: tuple[int, int]) -> F4:
    if name + ".npy" not in z.namelist():
        raise UsageError(f"it holds no matrix {name!r}")
    most = 8 * size[0] * size[1] + HEADER_MAX
    with z.open(name + ".npy") as f:
        data = f.read(most + 1)
    if len(data) > most:
        raise UsageError(f"matrix {name!r} is larger than {size}")
    member = io.BytesIO(data)
    version = np.lib.format.read_magic(member)
    read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    found, _, dtype = read[version](member)
    if found != size or dtype.kind != "f" or dtype.itemsize > 8:
        raise UsageError(f"matrix {name!r} is {dtype} of shape {found}, expected floats of shape {size}")
    member.seek(0)
    matrix = np.asarray(np.lib.format.read_array(member, allow_pickle=False), dtype=np.float64)
    if not (np.abs(matrix) <= LARGEST).all():
        raise UsageError(f"matrix {name!r} holds a number that is not finite, or beyond {LARGEST:g}")
    return matrix.astype(np.float32)


def states(weights: Weights, shape: Shape, tokens: NDArray[np.int64]) -> F4:
    """(n, width) hidden states at the last position of (n, t) prompts, float32."""
    out = np.empty((len(tokens), shape.width), np.float32)
    for start in range(0, len(tokens), CHUNK):
        out[start : start + CHUNK] = _chunk(weights, shape, tokens[start : start + CHUNK])
    return out


def logits(weights: Weights, hidden: F4) -> F4:
    """(n, vocab) next-token logits from hidden states."""
    return np.asarray(_norm(hidden) @ weights["tok"].T, dtype=np.float32)


def _chunk(w: Weights, shape: Shape, tokens: NDArray[np.int64]) -> F4:
    x = w["tok"][tokens] + w["pos"][: tokens.shape[1]]
    for i in range(shape.layers):
        x = _layer(w, shape, i, x, last=i == shape.layers - 1)
    return x[:, -1]


def _layer(w: Weights, shape: Shape, i: int, x: F4, last: bool) -> F4:
    """One block on (n, t, d). In the last layer only the final position is carried on: it alone is read."""
    n, t, d = x.shape
    qkv = (_norm(x).reshape(n * t, d) @ w[f"qkv{i}"]).reshape(n, t, 3, shape.heads, d // shape.heads)
    q, k, v = (qkv[:, :, j].transpose(0, 2, 1, 3) for j in range(3))  # each (n, heads, t, d/heads)
    if last:
        q, x = q[:, :, -1:], x[:, -1:]
    mixed = _attend(q, k, v).transpose(0, 2, 1, 3).reshape(-1, d)
    x = x + (mixed @ w[f"proj{i}"]).reshape(x.shape)
    hidden = np.maximum(_norm(x).reshape(-1, d) @ w[f"up{i}"], 0)
    return np.asarray(x + (hidden @ w[f"down{i}"]).reshape(x.shape), dtype=np.float32)


def _attend(q: F4, k: F4, v: F4) -> F4:
    """Causal attention; the queries are the last q.shape[2] of the t positions."""
    t, rows = k.shape[2], q.shape[2]
    scores = q @ k.transpose(0, 1, 3, 2) / np.float32(np.sqrt(q.shape[3]))
    if rows > 1:
        scores = np.where(np.tri(t, dtype=bool)[t - rows :], scores, np.float32(-1e9))
    scores = np.exp(scores - scores.max(-1, keepdims=True))
    return np.asarray(scores / scores.sum(-1, keepdims=True) @ v, dtype=np.float32)


def _norm(x: F4) -> F4:
    return np.asarray(x / np.sqrt(np.mean(x * x, -1, keepdims=True) + EPS), dtype=np.float32)
