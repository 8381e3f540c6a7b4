"""What an experiment of one task costs on this machine, and where the time goes, from a real climb of the default
climber.

The climb is measured whole, and once more with a single experiment, which gives the cost of starting. A sample of its
blocks is then played again in one process, with the environment of a scorer and a clock around the parts of the task.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from toprope import wire
from toprope.executors.messages import Load, Work
from toprope.journal.history import RunHistory
from toprope.journal.reading import read
from toprope.journal.records import BlockRecord
from toprope.journal.spec import RunSpec
from toprope.protocols import Outputs, Task
from toprope.referee.draws import DrawStore
from toprope.referee.scorer import Scorer
from toprope.run.driver import climbed
from toprope.sandbox.box import Sandbox
from toprope.sandbox.selftest import Choice
from toprope.seeding import dev_secret
from toprope.tasks import registry
from toprope.types import Block, Codes, Draw, Floats, Split

SEED = 0
SAMPLE_S = 4.0  # CPU seconds of blocks that are played again
GENERATIONS = 4


class Timed:
    """A task whose `generate` and `score` are timed, in CPU seconds of this process."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self.generate_s = self.score_s = 0.0

    def generate(self, split: Split, index: int, seed: int) -> Draw:
        begin = time.process_time()
        draw = self._task.generate(split, index, seed)
        self.generate_s += time.process_time() - begin
        return draw

    def score(self, outputs: Outputs, draw: Draw) -> Floats:
        begin = time.process_time()
        scores = self._task.score(outputs, draw)
        self.score_s += time.process_time() - begin
        return scores

    def __getattr__(self, name: str) -> Any:
        return getattr(self._task, name)


def run(task_id: str, tier: str, experiments: int | None = None, workers: int = 1) -> dict[str, Any]:
    """Measures `experiments` of the task's default climber (None: a few generations and an attempt at the gate).

    cpu_s: CPU seconds per experiment by part, which together are 1 / experiments_per_cpu_s. generate: practice draws.
    candidate: its children. student: `Task.score`. engine: the climber, the loop, the ledger, and the rest of a block.
    gate: re-runs in isolation and hidden draws. start: imports, self-test, hub, scorers; once per run.
    draws: practice draws per experiment. per_draw_ms: CPU milliseconds of candidate and student per draw and variant.
    """
    task = registry.load(task_id)
    splits = task.spec.splits
    n = experiments or max(splits.attempt_every, GENERATIONS * splits.generation) + 1
    with tempfile.TemporaryDirectory() as folder:
        one = _climb(Path(folder), task_id, 1, tier, workers)
        many = _climb(Path(folder), task_id, n, tier, workers)
        history = many[0]
        command = wire.command("toprope.assay.bench_task", _run(Path(folder), n), tier)
        done = subprocess.run(command, env=wire.child_environment(), stdout=subprocess.PIPE, check=True)
        generated, candidate, inside = json.loads(done.stdout)
    (_, total, own, wall), first = many, one
    blocks, first_blocks = (sum(b.cpu_s for b in h.blocks) for h in (history, first[0]))
    generate = generated * workers
    start = first[1] - first_blocks - generate
    parts = {
        "generate": generate,
        "candidate": candidate * blocks,
        "student": inside * blocks,
        "engine": (1 - candidate - inside) * blocks + own - first[2],
        "gate": total - start - generate - blocks - (own - first[2]),
        "start": start,
    }
    shown = sum(b.scores.size for b in history.blocks)
    return {
        "task": task_id,
        "experiments": n,
        "experiments_per_cpu_s": n / total,
        "cpu_s": {name: seconds / n for name, seconds in parts.items()},
        "draws": shown / n,
        "per_draw_ms": 1e3 * (candidate + inside) * blocks / shown,
        "attempts": len(history.asked),
        "wall_s": wall,
        "workers": workers,
        "hours_of_a_million_on_one_core": 1e6 * (total - start) / n / 3600,
        "protection": tier,
    }


def _climb(
    folder: Path, task: str, experiments: int, tier: str, workers: int
) -> tuple[RunHistory, float, float, float]:
    """A climb: its history, CPU seconds of all processes, CPU seconds of this one, wall seconds."""
    spec = RunSpec.from_keywords(task, experiments=experiments, seed=SEED, rehearsal_secret="bench")
    before, start = os.times(), time.monotonic()
    history = climbed(_run(folder, experiments), spec, Choice(tier), workers, folder / "vault")
    spent = [b - a for a, b in zip(before, os.times(), strict=True)][:4]
    return history, sum(spent), spent[0] + spent[1], time.monotonic() - start


def _run(folder: Path, experiments: int) -> Path:
    return folder / f"run-{experiments}"


def _replayed(run: Path, tier: str) -> tuple[float, float, float]:
    """CPU seconds of making all practice draws once, and the shares of a block's CPU time that children and
    `Task.score` take, over an even sample of the climb's blocks."""
    history = read(run)
    o = history.opening
    task = Timed(registry.load(o.spec.task))
    rows = {int(e): row for b in history.blocks if len(b.rows) for e, row in zip(b.experiments, b.rows, strict=True)}
    with Sandbox(task.spec.limits, profile=task.spec.profile, tier=tier) as box:
        scorer = Scorer(task, box, DrawStore(task, {"dev": dev_secret(o.spec.seed)}))
        scorer.load(Load(tree=o.tree, space=o.space))
        for index in range(len(o.floors)):  # outside the clock of a block
            scorer.store.get("dev", 0, index)
        task.score_s = children = total = 0.0
        for block in _sample(list(history.blocks)):
            work = Work(0, _again(block, rows, o.tree.digest, o.space.digest), "dev", detail=True)
            begin = time.process_time()
            spent = scorer.score(work).result.cpu_s  # of this process and of its children
            children, total = children + spent - (time.process_time() - begin), total + spent
        scorer.store.close()
    return task.generate_s, children / total, task.score_s / total


def _sample(blocks: list[BlockRecord]) -> list[BlockRecord]:
    """Blocks spread evenly over the climb that cost about SAMPLE_S together; at least one."""
    total = sum(b.cpu_s for b in blocks)
    step = max(1, round(total / SAMPLE_S))
    return blocks[step // 2 :: step] or blocks[:1]


def _again(block: BlockRecord, rows: dict[int, Codes], tree: str, space: str) -> Block:
    chosen = np.array([rows[e] for e in block.experiments.tolist()], np.uint8)
    return Block(tree, space, chosen, tuple(range(block.lo, block.hi)))


if __name__ == "__main__":
    json.dump(_replayed(Path(sys.argv[1]), sys.argv[2]), sys.stdout)
