"""What a run of very many experiments costs: its memory, and every command on its ledger (docs/performance.md).

The no-op task is climbed by the command line at a tenth of the length and at the whole length. Then each command runs
twice: first as after a copy, without a checkpoint, then again. A second ledger has the same number of experiments in
blocks of 4 with a barrier after 32, as the tasks that ship have: many entries instead of large ones. Its scores are
made up, so it is read only.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from toprope import wire
from toprope.journal import checkpoint
from toprope.journal.ledger import SqliteLedger, read_entries
from toprope.journal.records import BlockRecord, Generation, Opening, record

TASK = "testing/nonce-v1"
SMALL, BARRIER = 4, 32  # experiments of a block and of a generation in the second ledger
LOOK_S = 0.05  # between two looks at the memory of a process


class Cost(NamedTuple):
    """Of one command. wall, cpu: seconds, CPU with its children. peak: MiB of its own process, without them."""

    wall: float
    cpu: float
    peak: float


def main(experiments: float = 1e6, climber: str = "evolution") -> None:
    n = int(experiments)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TOPROPE_VAULT"] = str(Path(folder, "vault"))
        print("| run process | peak MiB | CPU µs an experiment | bytes an experiment |\n|---|---|---|---|")
        for length in (n // 10, n):
            run = Path(folder, f"run-{length}")
            cost = climbed(run, length, climber)
            size = sum(p.stat().st_size for p in run.glob("ledger.db*")) / length
            print(f"| {length:,} experiments | {cost.peak:.0f} | {1e6 * cost.cpu / length:.1f} | {size:.1f} |")
        small = made(Path(folder, "small"), run, n)
        for name, path, commands in (
            ("blocks of 5,000", run, ("show", "report", "resume", "export", "verify")),
            (f"blocks of {SMALL}", small, ("show", "report", "export")),
        ):
            print(f"\n| {n:,} experiments in {name} | first: s, CPU s, MiB | again: s, CPU s, MiB |\n|---|---|---|")
            for command, first, again in measured(path, commands):
                print(f"| `{command}` | {told(first)} | {told(again)} |", flush=True)


def told(cost: Cost) -> str:
    return f"{cost.wall:.2f}, {cost.cpu:.2f}, {cost.peak:.0f}"


def climbed(run: Path, experiments: int, climber: str) -> Cost:
    budget = ("--experiments", experiments, "--rehearsal-secret", "large", "--run", run)
    return cost("climb", TASK, "--climber", climber, *budget)


def measured(run: Path, commands: tuple[str, ...]) -> Iterator[tuple[str, Cost, Cost]]:
    """Each command without a checkpoint, and with the one that it or the command before left."""
    for command in commands:
        more = ("--format", "jsonl", "-o", os.devnull) if command == "export" else ()
        (run / checkpoint.NAME).unlink(missing_ok=True)
        yield command, cost(command, run, *more), cost(command, run, *more)


def cost(*argv: object) -> Cost:
    """Runs a command of toprope to its end. Raises CalledProcessError if it fails."""
    began, peak = time.monotonic(), 0.0
    words = wire.command("toprope.cli", *argv)
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        peak = max(peak, _peak(process.pid))
        time.sleep(LOOK_S)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, words)
    return Cost(time.monotonic() - began, used.ru_utime + used.ru_stime, peak)


def _peak(pid: int) -> float:
    """The most memory that a process has held so far, in MiB; 0 once it has ended."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), 0.0)


def made(folder: Path, like: Path, experiments: int) -> Path:
    """A run directory whose ledger begins as that of a real run and goes on with small blocks of made-up scores."""
    folder.mkdir()
    first = [record(e) for e in read_entries(like) if e.kind in ("ask", "sitting", "open")][:3]
    opening = next(r for r in first if isinstance(r, Opening))
    ledger, rng, best, at = SqliteLedger(folder / "ledger.db", create=True), np.random.default_rng(0), 0.0, 0
    for r in first:
        ledger.append(r)
    for g in range(experiments // BARRIER):
        rows = rng.integers(0, opening.space.sizes.astype(int) + 1, (BARRIER, len(opening.space.dims))).astype(np.uint8)
        scores = rng.random((BARRIER, 1)).astype(np.float32)
        for lo in range(0, BARRIER, SMALL):
            here = slice(lo, lo + SMALL)
            numbers = np.arange(g * BARRIER + lo, g * BARRIER + lo + SMALL, dtype=np.uint32)
            ledger.append(BlockRecord(f"{numbers[0]}.0.1", numbers, 0, 1, rows[here], scores[here], {}, {}, 1e-5, 1e-5))
        if scores.max() > best:
            best, at = float(scores.max()), g * BARRIER + int(scores.argmax())
        ledger.append(Generation(g, (g + 1) * BARRIER, 0.01 * g, best, at, 0, 0))
    ledger.close()
    return folder
