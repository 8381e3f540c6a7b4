"""The cost of an experiment on this machine, as ratios measured side by side, in CPU and wall time.

The sandbox's figures come from `bench_sandbox`; the engine's own cost from real climbs through every layer (climber,
loop, scorers, sandboxes, ledger, hub), as the difference between a long and a short one, so that starting up cancels.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from toprope import wire
from toprope.assay import bench_sandbox
from toprope.journal.spec import RunSpec
from toprope.run.driver import climbed
from toprope.sandbox.selftest import Choice
from toprope.sandbox.ulimits import cores


def run(tier: str, quick: bool = False) -> dict[str, Any]:
    """name -> {value, unit, limit, detail, command}. limit: the project's own target. tier: of the sandbox."""
    sandbox = bench_sandbox.bench(tier)
    fresh, noop, overhead = sandbox["fresh"], sandbox["noop_block"], sandbox["overhead"]
    engine = end_to_end(160_000 if quick else 400_000, tier)
    command = f"toprope bench --tier {tier}"
    return {
        **(_tiers(3 if quick else 9, command) if tier == "linux-full" else {}),
        "fresh candidate": {
            "value": fresh["cpu_ratio"],
            "unit": "x a bare fork (CPU)",
            "limit": "2.5",
            "detail": f"{fresh['fresh_cpu_ms']:.2f} against {fresh['bare_fork_cpu_ms']:.2f} ms CPU, wall x"
            f"{fresh['wall_ratio']:.2f} ({fresh['fresh_wall_ms']:.2f} ms)",
            "command": command,
        },
        "no-op in a block": {
            "value": noop["cpu_us"],
            "unit": "µs CPU",
            "limit": "10",
            "detail": f"child and scorer, {noop['variants']:.0f} variants; wall {noop['wall_us']:.1f} µs",
            "command": command,
        },
        "no-op end to end": {
            "value": engine["cpu_us"],
            "unit": "µs CPU",
            "limit": "10",
            "detail": f"{engine['experiments']} recorded experiments, {tier}; {engine['per_s']:.0f}/s wall, "
            f"ledger {engine['bytes']:.1f} bytes each",
            "command": "toprope bench",
        },
        "overhead on 200 ms of work": {
            "value": 100 * overhead["overhead"],
            "unit": "% CPU",
            "limit": "5",
            "detail": "in one child",
            "command": command,
        },
        "toprope --help": {
            **help_ratio(3 if quick else 9),
            "unit": "x python -c pass (wall)",
            "limit": "12",
            "command": "toprope bench",
        },
    }


def _tiers(repeats: int, command: str) -> dict[str, Any]:
    """The cost of namespaces: this tier and linux-landlock, measured in turns."""
    both = bench_sandbox.side_by_side(repeats)
    return {
        f"{what}, linux-full": {
            "value": both[f"{key}_ratio"],
            "unit": "x linux-landlock",
            "limit": "-",
            "detail": f"{both[f'{key}_full_ms']:.2f} against {both[f'{key}_landlock_ms']:.2f} ms {clock}",
            "command": command,
        }
        for what, key, clock in (("start of a zygote", "start", "wall"), ("fresh candidate", "fresh", "CPU"))
    }


def end_to_end(experiments: int, tier: str) -> dict[str, float]:
    """Per recorded no-op experiment: CPU microseconds, experiments per second of wall time, ledger bytes; start-up is
    subtracted."""
    with tempfile.TemporaryDirectory() as folder:
        short, long = (_climb(Path(folder), n, tier) for n in (1, experiments))
    cpu, wall, size = (b - a for a, b in zip(short, long, strict=True))
    return {
        "experiments": experiments,
        "cpu_us": 1e6 * cpu / experiments,
        "per_s": experiments / wall,
        "bytes": size / experiments,
    }


def _climb(folder: Path, experiments: int, tier: str) -> tuple[float, float, float]:
    """CPU seconds of all processes, wall seconds and ledger bytes of one real climb."""
    run = folder / f"run-{experiments}"
    spec = RunSpec.from_keywords("testing/nonce-v1", "random", experiments=experiments, rehearsal_secret="bench")
    before, start = _cpu(), time.monotonic()
    climbed(run, spec, Choice(tier), cores(), folder / "vault")
    size = sum(p.stat().st_size for p in run.iterdir())
    return _cpu() - before, time.monotonic() - start, size


def _cpu() -> float:
    """Seconds of this process and of those that it started and that have ended."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def help_ratio(repeats: int) -> dict[str, Any]:
    """Wall time of `toprope --help` relative to `python -c pass`, measured in turns."""
    commands = {"help": wire.command("toprope.cli", "--help"), "pass": [sys.executable, "-c", "pass"]}
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(repeats):
        for name, argv in commands.items():
            start = time.perf_counter()
            subprocess.run(argv, check=True, capture_output=True)
            times[name].append(time.perf_counter() - start)
    ours, theirs = median(times["help"]), median(times["pass"])
    return {"value": ours / theirs, "detail": f"{1e3 * ours:.0f} against {1e3 * theirs:.0f} ms"}
