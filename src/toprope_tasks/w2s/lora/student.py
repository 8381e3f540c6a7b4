"""The referee's student of the LoRA tier: a language model with adapters (Hu et al. 2021, arXiv:2106.09685).

Every linear map of the trained blocks has an adapter, and a linear head on the pooled state after the last of them
gives the probability of class 1. The model's own weights stay as they are, so the states that enter the trained blocks
are computed once for a draw. Adapters of our own, thirty lines, in place of peft: their start comes from the draw's
seed alone, they are laid on one loaded model again for every training, and the blocks below can be left out.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from toprope.errors import UsageError
from toprope.types import Floats
from toprope_tasks.w2s import student
from toprope_tasks.w2s.bank import models
from toprope_tasks.w2s.bank.models import F4
from toprope_tasks.w2s.lora.config import Config

FORWARD = 64  # texts of a pass without gradients
FEW = 4  # batches whose texts are ordered by length


class Entered(msgspec.Struct, frozen=True):
    """Texts as the trained blocks meet them. tokens: of each text. states: (t, d) of each, what enters the first
    trained block; empty if that is the first block of all. mean, sd: (d,) of what the head reads before training: some
    columns of a language model are a hundred times the others."""

    tokens: list[list[int]]
    states: list[F4]
    mean: F4
    sd: F4


class Student:
    """One loaded model, trained anew for every method."""

    def __init__(self, config: Config) -> None:
        """Raises UsageError without PyTorch or the model, and for a depth that it does not have."""
        files = models.find(config.model)
        self.training = config.training
        self.sha256 = files.weights
        torch, _ = models.libraries()
        self._torch, self._device = torch, _device(torch, config.gpus)
        self._model = models.Model(files, self._device)
        self._body, self._blocks = self._model.opened()
        self._body.requires_grad_(False)
        self._stop = self.training.depth or len(self._blocks)
        if self._stop > len(self._blocks):
            raise UsageError(f"training.depth {self._stop}: model {files.name!r} has {len(self._blocks)} blocks")
        self._start = max(0, self._stop - (self.training.blocks or self._stop))
        trained = list(itertools.islice(self._blocks, self._start, self._stop))
        self._linear = [m for b in trained for m in b.modules() if isinstance(m, torch.nn.Linear)]
        if not self._linear:
            raise UsageError(f"model {files.name!r}: its blocks have no torch.nn.Linear for adapters to stand beside")
        self._width = int(self._body.config.get_text_config().hidden_size)
        in_tuples = self._in_tuples()
        self._left_out = [_left_out(torch, block, in_tuples) for block in self._blocks]

    def entered(self, texts: Sequence[str], cut: Any) -> Entered:
        """Tokens of the texts, and the states that enter the trained blocks. cut: which end of a long text goes."""
        self._torch.set_num_threads(self.training.threads)
        tokens, _ = self._model.tokens(texts, self.training.max_tokens, cut)
        some = _batches(np.argsort([len(t) for t in tokens], kind="stable"), FORWARD)
        states: list[F4] = [np.empty(0, np.float32)] * len(tokens) if self._start else []
        read = np.empty((len(tokens), self._width), np.float32)
        with self._torch.inference_mode():
            for rows in some if self._start else ():
                with self._only(0, self._start):
                    found = self._run([tokens[i] for i in rows], [])[0].float().cpu().numpy()
                for i, state in zip(rows, found, strict=True):
                    states[i] = np.array(state[: len(tokens[i])])
            with self._only(self._start, self._stop):
                for rows in some:
                    read[rows] = self._read(tokens, states, rows).cpu().numpy()
        return Entered(tokens, states, read.mean(0), read.std(0) + np.float32(1e-6))

    def probabilities(
        self, pool: Entered, test: Entered, targets: NDArray[Any], weights: NDArray[Any], seed: int
    ) -> Floats:
        """(m,) probability of class 1 of the test texts after training on targets (n,) in [0, 1] with weights (n,).
        seed: of the adapters' start and the order of the texts."""
        torch, t = self._torch, self.training
        torch.set_num_threads(t.threads)  # their number decides the last bits
        rng = np.random.default_rng(seed)
        adapters, head = self._fresh(rng)
        goal = torch.tensor(np.asarray(targets, np.float32))
        each = torch.tensor((student.normalised(weights[None])[0] * len(weights)).astype(np.float32))
        optimizer = torch.optim.AdamW([*itertools.chain(*adapters), head], lr=t.rate, weight_decay=t.decay)
        steps = t.passes * -(-len(targets) // t.batch)
        mean, sd = (torch.from_numpy(x).to(self._device) for x in (pool.mean, pool.sd))

        def logits(texts: Entered, rows: NDArray[np.int64]) -> Any:
            x = (self._read(texts.tokens, texts.states, rows) - mean) / sd
            return (x @ head[:-1] + head[-1]).cpu()

        with self._only(self._start, self._stop), self._adapted(adapters):
            passes = (_alike(rng.permutation(len(targets)), pool.tokens, t.batch) for _ in range(t.passes))
            for step, rows in enumerate(itertools.chain.from_iterable(passes)):
                optimizer.param_groups[0]["lr"] = t.rate * _schedule(step, steps, t.warmup)
                loss = torch.nn.functional.binary_cross_entropy_with_logits(
                    logits(pool, rows), goal[rows], reduction="none"
                )
                optimizer.zero_grad()
                (loss * each[rows]).mean().backward()
                optimizer.step()
            with torch.inference_mode():
                some = _batches(np.arange(len(test.tokens)), FORWARD)
                logits = torch.cat([logits(test, rows) for rows in some])
        return np.asarray(torch.sigmoid(logits).numpy(), np.float64)

    def _fresh(self, rng: np.random.Generator) -> tuple[list[tuple[Any, Any]], Any]:
        """(down, up) of each adapter, whose product is 0 at the start as in the paper; and a head of zeros."""

        def variable(x: NDArray[Any]) -> Any:
            return self._torch.tensor(x.astype(np.float32), device=self._device, requires_grad=True)

        rank, adapters = self.training.rank, []
        for m in self._linear:
            down = rng.uniform(-1, 1, (m.in_features, rank)) * m.in_features**-0.5
            adapters.append((variable(down), variable(np.zeros((rank, m.out_features)))))
        return adapters, variable(np.zeros(self._width + 1))

    def _in_tuples(self) -> bool:
        """Whether blocks of this model hand on tuples, as some do, and not tensors."""
        found: list[bool] = []
        hook = self._blocks[0].register_forward_hook(lambda _m, _given, out: found.append(isinstance(out, tuple)))
        with self._torch.inference_mode():
            self._run([[0, 0]], [])
        hook.remove()
        return found[0]

    @contextmanager
    def _adapted(self, adapters: list[tuple[Any, Any]]) -> Iterator[None]:
        scale = self.training.alpha / self.training.rank

        def add(down: Any, up: Any, _module: Any, given: Any, out: Any) -> Any:
            return out + (scale * (given[0].to(down.dtype) @ down) @ up).to(out.dtype)

        with ExitStack() as hooks:
            for module, pair in zip(self._linear, adapters, strict=True):
                hooks.callback(module.register_forward_hook(partial(add, *pair)).remove)
            yield

    @contextmanager
    def _only(self, start: int, stop: int) -> Iterator[None]:
        """Leaves all blocks out but those from `start` to before `stop`."""
        whole = list(self._blocks)
        try:
            for i, stand_in in enumerate(self._left_out):
                if not start <= i < stop:
                    self._blocks[i] = stand_in
            yield
        finally:
            for i, block in enumerate(whole):
                self._blocks[i] = block

    def _run(self, tokens: list[list[int]], states: list[F4]) -> tuple[Any, Any]:
        """State (b, t, d) after the last block that runs, and mask (b, t). states: of each text, to enter the first
        trained block; without any, the embedding enters the first block that runs."""
        torch = self._torch
        length, at = max(map(len, tokens)), self._device
        ids, mask = torch.zeros(len(tokens), length, dtype=torch.long), torch.zeros(len(tokens), length)
        for i, row in enumerate(tokens):  # padding stands at the right: no token of a causal model sees it
            ids[i, : len(row)], mask[i, : len(row)] = torch.tensor(row), 1
        seen: list[Any] = []

        def keep(_module: Any, _given: Any, out: Any) -> None:
            seen.append(out[0] if isinstance(out, tuple) else out)

        def enter(_module: Any, given: Any, named: Any) -> tuple[Any, Any]:
            x = torch.zeros(len(tokens), length, self._width)
            for i, state in enumerate(states):
                x[i, : len(state)] = torch.from_numpy(state)
            usual = given[0] if given else named["hidden_states"]
            x = x.to(usual.device, usual.dtype)
            return ((x, *given[1:]), named) if given else (given, {**named, "hidden_states": x})

        with ExitStack() as hooks:
            hooks.callback(self._blocks[len(self._blocks) - 1].register_forward_hook(keep).remove)
            if states:
                first = self._blocks[self._start]
                hooks.callback(first.register_forward_pre_hook(enter, with_kwargs=True).remove)
            more = {"use_cache": False} if self._model.kind == models.CAUSAL else {}
            self._body(input_ids=ids.to(at), attention_mask=mask.long().to(at), **more)
        return seen[0], mask.to(at)

    def _read(self, tokens: list[list[int]], states: list[F4], rows: NDArray[np.int64]) -> Any:
        """(b, d) what the head reads of some texts: pooled states after the last trained block."""
        state, mask = self._run([tokens[i] for i in rows], [states[i] for i in rows if states])
        return self._model.pool(state.float(), mask, self.training.pooling)


def _device(torch: Any, gpus: list[int] | None) -> str:
    """The GPU with most free memory, so that scorers spread over GPUs; without any, the CPU."""
    if not torch.cuda.is_available():
        return "cpu"
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # the next line asks for it
    torch.use_deterministic_algorithms(True)  # a run is verified by repeating it
    free = {i: torch.cuda.mem_get_info(i)[0] for i in gpus or range(torch.cuda.device_count())}
    return f"cuda:{max(free, key=lambda i: free[i])}"


def _left_out(torch: Any, block: Any, in_tuples: bool) -> Any:
    """Stands in for a block and hands on what it is given. Other attributes are the block's: some models ask for
    them."""

    class LeftOut(torch.nn.Module):  # type: ignore[misc]
        def forward(self, *given: Any, **named: Any) -> Any:
            x = given[0] if given else named["hidden_states"]
            return (x,) if in_tuples else x

        def __getattr__(self, name: str) -> Any:
            return getattr(block, name)

    return LeftOut()


def _batches(order: NDArray[np.int64], size: int) -> list[NDArray[np.int64]]:
    return [order[i : i + size] for i in range(0, len(order), size)]


def _alike(order: NDArray[np.int64], tokens: list[list[int]], size: int) -> list[NDArray[np.int64]]:
    """Batches in this order, but that texts of like length among a few batches stand together: padding is computed."""
    long = np.array([len(t) for t in tokens])
    few = (rows[np.argsort(long[rows], kind="stable")] for rows in _batches(order, FEW * size))
    return [rows for some in few for rows in _batches(some, size)]


def _schedule(step: int, steps: int, warmup: float) -> float:
    rising = warmup * steps
    return (step + 1) / rising if step + 1 < rising else (steps - step) / (steps - min(rising, steps - 1))
