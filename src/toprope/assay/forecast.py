"""What a climb of very many experiments would take: hours, CPU time, bytes, money, and the cores that it can use.

Two short real climbs of different lengths, with the default climber and every layer, are compared; their difference
leaves the start-up out. What they cost per experiment is then laid out on more cores. The assumptions are part of the
answer, because each of them can be wrong for a run of a billion:

- Later experiments cost as much as those of the calibration. Attempts at the gate become rarer, by the policy's rule.
- Cores are like one of this machine's, and work on nothing else.
- A generation ends when its last block ends: a rung of b blocks uses at most b cores.
- The run process (climber, race, ledger) works while scorers wait. It is one core, wherever it runs.
- Hidden work runs on the hub's cores only. Its answer leaves on a schedule, which shrinks with these cores; the climb
  goes on until the next attempt is due, then it waits.
"""

from __future__ import annotations

import os
import tempfile
import time
import tracemalloc
from contextlib import closing
from pathlib import Path
from statistics import mean
from typing import NamedTuple

import msgspec
import numpy as np

from toprope.errors import UsageError
from toprope.executors.base import MakeExecutor
from toprope.executors.local import LocalExecutor
from toprope.executors.messages import ScorerConfig
from toprope.journal.ledger import SqliteLedger, read_entries
from toprope.journal.spec import RunSpec
from toprope.protocols import Progress, Splits, Task
from toprope.run.beginning import space_of
from toprope.run.driver import climbed
from toprope.run.evaluate import Evaluator
from toprope.run.policy import next_attempt
from toprope.run.race import BLOCKS, Piece
from toprope.run.seen import REMEMBERED, Seen
from toprope.sandbox import ulimits
from toprope.sandbox.selftest import Choice
from toprope.seeding import dev_secret
from toprope.tasks import registry
from toprope.types import Outcome

SURE_S = 5.0
FIRST, TRIED = 4, 100  # blocks before the run process's cost per block is measured, and for it
MOST = 10**6  # experiments of a calibration climb
ROWS = 20_000  # rows of the run process's memory that are measured
ASSUMPTIONS = [
    "later experiments cost what those of the calibration cost",
    "every core is like one of this machine and works on nothing else",
    "a rung of b blocks (--blocks) uses at most b cores, and a generation ends with its slowest block",
    "the run process is one core: climber, race and ledger work while scorers wait; a block costs it what was measured",
    "hidden work runs on the hub's cores only; the climb waits for its answer, which leaves on a schedule",
]


class Spent(NamedTuple):
    """What one climb took. practice: CPU seconds of blocks per rung. made: candidates that entered each rung. run: CPU
    seconds of the run process. other: of hub, hidden scorers, re-runs in isolation and sandboxes' starts. first_s: mean
    seconds until the gate's first release slot. payload: bytes of the ledger's entries. size: of its file.
    hidden: number of hidden scorers. least: bytes of the smallest entry of a block, most of which every block has."""

    experiments: int
    practice: list[float]
    made: list[int]
    run: float
    other: float
    attempts: int
    first_s: float
    payload: int
    size: int
    wall: float
    hidden: int = 1
    least: int = 0

    @property
    def cpu(self) -> float:
        """CPU seconds of all processes."""
        return sum(self.practice) + self.run + self.other


class Limits(msgspec.Struct, frozen=True):
    """Cores from which on waiting outweighs working. coordinator: for the run process. gate: for its answer, which
    leaves on a schedule, until the next attempt is due. blocks: rungs are not cut finer. None: the
    calibration met no such work."""

    coordinator: float | None
    gate: float | None
    blocks: float


class Forecast(msgspec.Struct, frozen=True):
    """hours: on `cores`. cpu_s_per_experiment: practice, gate and run process. coordinator_load: share of one core that
    the run process needs. money: price x cores x hours; None without a price. memory_bytes: of the run process.
    saturates_at_cores: the least of `saturates`. points: of the task's space, which a climb cannot exceed."""

    task: str
    experiments: float
    cores: int
    hub_cores: int
    blocks: int
    generation: int
    hours: float
    cpu_s_per_experiment: float
    cpu_s: dict[str, float]
    ledger_bytes: float
    memory_bytes: float
    coordinator_load: float
    saturates_at_cores: int
    saturates: Limits
    money: float | None
    points: float
    calibration: dict[str, float]
    assumptions: list[str]


def forecast(
    task_id: str,
    experiments: float,
    cores: int,
    hub_cores: int,
    tier: str,
    progress: Progress,
    blocks: int | None = None,
    generation: int | None = None,
    price: float | None = None,
    make: MakeExecutor = LocalExecutor,
) -> Forecast:
    """experiments: of the climb in question. cores: for practice. hub_cores: of the hub's machine. blocks: per rung;
    None: BLOCKS, or as many as `cores`. generation: proposals of one; None: the task's. price: of one core for one
    hour. make: the executor, whose cost per block is measured. Raises UsageError for a task without a space."""
    task = registry.load(task_id)
    points = space_of(task).points
    local = per_block(task, LocalExecutor, tier)
    carried = local if make is LocalExecutor else per_block(task, make, tier)
    small, large = calibrated(task, tier, progress)
    cut = (blocks or max(BLOCKS, cores), generation or task.spec.splits.generation)
    return of(task, points, small, large, experiments, cores, hub_cores, *cut, price, (local, carried))


def per_block(task: Task, make: MakeExecutor, tier: str) -> float:
    """CPU seconds of this process to send a block of the starter on one draw, to take its answer and to record it."""
    config = ScorerConfig(task.spec.id, {"dev": dev_secret(0)}, tier, marked=True)
    space = space_of(task)
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(make(config, 1, lambda *_: None, None)) as executor,
        closing(SqliteLedger(Path(folder) / "ledger.db", create=True)) as ledger,
    ):
        evaluate = Evaluator(ledger, executor, task.starter(), space)
        pieces = [Piece(np.array([i]), space.default()[None, :], 0, 1) for i in range(FIRST + TRIED)]
        evaluate(pieces[:FIRST])
        before = time.process_time()
        evaluate(pieces[FIRST:])
        return (time.process_time() - before) / TRIED


def calibrated(task: Task, tier: str, progress: Progress) -> tuple[Spent, Spent]:
    """Two climbs that differ by the experiments between two attempts at the gate, or by four, sixteen ... times as many
    until the difference is SURE_S seconds of CPU time, beside which start-up varies little."""
    splits = task.spec.splits
    every = splits.attempt_every if splits.attempt_every < MOST else splits.generation
    progress(f"calibrating on {task.spec.id}", 0.0)
    measure(task, 1, tier)  # what is loaded or made once is not counted
    small, more = measure(task, max(2, every // 2), tier), every
    while True:
        progress(f"calibrating on {task.spec.id}", 0.5)
        large = measure(task, small.experiments + more, tier)
        if large.cpu - small.cpu >= SURE_S or 4 * more > MOST or large.experiments < small.experiments + more:
            progress(f"calibrating on {task.spec.id}", 1.0)
            return small, large
        more *= 4


def of(
    task: Task,
    points: float,
    small: Spent,
    large: Spent,
    experiments: float,
    cores: int,
    hub_cores: int,
    blocks: int,
    generation: int,
    price: float | None,
    per_block: tuple[float, float] = (0.0, 0.0),
) -> Forecast:
    """The forecast from two measured climbs. per_block: CPU seconds of the run process with the local executor, by
    which the climbs were measured, and with the one in question."""
    n = large.experiments - small.experiments
    if n <= 0:
        raise UsageError(
            f"the space of {task.spec.id} has {points:.0f} points, all tried in the calibration; expected more than "
            f"{small.experiments}"
        )
    splits = task.spec.splits
    run = max(0.0, large.run - small.run) / n
    between = experiments / _attempts(splits, experiments, generation)  # of these, experiments from one to the next
    attempts = large.attempts - small.attempts
    gate = max(0.0, large.other - small.other) / (attempts * between if attempts > 0 else n)
    first_s = max(splits.tick_s, large.first_s * large.hidden / hub_cores) if attempts > 0 else 0.0
    rungs = [max(0.0, b - a) / n for a, b in zip(small.practice, large.practice, strict=True)]
    entered = [(b - a) / n for a, b in zip(small.made, large.made, strict=True)]
    spans = np.diff([0, *splits.rungs]).tolist()
    widest = [_pieces(m * generation, d, blocks) for m, d in zip(entered, spans, strict=True)]
    practice = sum(rungs)
    usual = sum(_pieces(m * splits.generation, d, BLOCKS) for m, d in zip(entered, spans, strict=True))
    cut, was_cut = sum(widest) / generation, usual / splits.generation  # blocks per experiment
    run = max(0.0, run + per_block[1] * cut - per_block[0] * was_cut)
    payload = (large.payload - small.payload) / n + large.least * (cut - was_cut)

    def seconds(on: float) -> float:
        """Of wall time per experiment on so many cores: racing, and waiting for the gate."""
        racing = run + sum(cpu / min(on, wide) for cpu, wide in zip(rungs, widest, strict=True))
        return racing + max(0.0, first_s - racing * between) / between

    each = seconds(cores)
    limits = Limits(
        coordinator=round(practice / run, 1) if run > 0 else None,
        gate=round(practice * between / first_s, 1) if first_s > 0 else None,
        blocks=round(practice / sum(cpu / wide for cpu, wide in zip(rungs, widest, strict=True)), 1),
    )
    hours = experiments * each / 3600
    per_row = _memory(len(task.space.dims) if task.space is not None else 0)
    return Forecast(
        task=task.spec.id,
        experiments=experiments,
        cores=cores,
        hub_cores=hub_cores,
        blocks=blocks,
        generation=generation,
        hours=hours,
        cpu_s_per_experiment=practice + run + gate,
        cpu_s={"practice": practice, "gate": gate, "coordinator": run},
        ledger_bytes=max(0.0, large.size + (experiments - large.experiments) * payload),
        memory_bytes=min(experiments, points, 2 * REMEMBERED) * per_row,
        coordinator_load=run / each if each > 0 else 0.0,
        saturates_at_cores=max(1, int(min(v for v in msgspec.structs.astuple(limits) if v is not None))),
        saturates=limits,
        money=None if price is None else price * cores * hours,
        points=float(points),
        calibration={
            "small": small.experiments,
            "large": large.experiments,
            "attempts": attempts,
            "first_slot_s": first_s,
            "coordinator_per_block_s": per_block[1],
            "wall_s": small.wall + large.wall,
        },
        assumptions=ASSUMPTIONS,
    )


def _attempts(splits: Splits, experiments: float, generation: int) -> int:
    """How many attempts a climb of so many experiments makes, each at the first barrier at which it is due; at least
    one."""
    due, count = splits.attempt_every, 0
    while due <= experiments:
        barrier = generation * -(-due // generation)
        due, count = next_attempt(barrier, splits.attempt_every), count + 1
    return max(1, count)


def _pieces(candidates: float, draws: int, blocks: int) -> float:
    """Blocks that a rung is cut into, as `race.Race` cuts it; `candidates` is a mean."""
    spans = min(blocks, draws)
    return spans * max(1.0, min(blocks // spans, candidates))


def measure(task: Task, experiments: int, tier: str) -> Spent:
    """What a real climb takes that is recorded in a folder and a vault of its own, by a scorer of
    either kind per core."""
    spec = RunSpec.from_keywords(task.spec.id, experiments=experiments, rehearsal_secret="forecast")
    all_before, ours_before, start = _cpu(), time.process_time(), time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder) / "run"
        history = climbed(directory, spec, Choice(tier), ulimits.cores(), Path(folder) / "vault")
        run, wall = time.process_time() - ours_before, time.monotonic() - start
        entries = read_entries(directory)
        size = (directory / "ledger.db").stat().st_size
    sizes: dict[str, list[int]] = {}
    for e in entries:
        sizes.setdefault(e.kind, []).append(len(e.body) + len(e.kind) + len(e.hash))
    splits = task.spec.splits
    practice, made = [0.0] * len(splits.rungs), [0] * len(splits.rungs)
    for block in history.blocks:
        draws = block.before(splits.rungs[-1])
        rung = int(np.searchsorted(splits.rungs, draws, side="right"))
        practice[rung] += block.cpu_s
        made[rung] += len(block.experiments) if draws in (0, *splits.rungs) else 0
    slots = [splits.tick_s * 2.0**a.base_delay_exponent for a in history.asked if a.clean]
    return Spent(
        history.experiments,
        practice,
        made,
        run,
        _cpu() - all_before - run - sum(practice),
        len(slots),
        mean(slots) if slots else 0.0,
        sum(map(sum, sizes.values())),
        size,
        wall,
        ulimits.cores(),
        min(sizes["block"]),
    )


def _cpu() -> float:
    """CPU seconds of this process and of all that it started and that have ended."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def _memory(dims: int) -> float:
    """Bytes that the race keeps per remembered candidate, so that one that is proposed again costs nothing."""
    numbers = np.arange(ROWS, dtype=np.uint32).view(np.uint8).reshape(ROWS, 4)
    rows = np.concatenate([numbers, np.zeros((ROWS, max(0, dims - 4)), np.uint8)], axis=1)
    tracemalloc.start()
    kept = Seen(None)
    places, _ = kept.place(rows)
    kept.put(places, np.zeros(ROWS), 1, Outcome.OK)
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return size / ROWS
