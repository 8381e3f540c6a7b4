"""Is a task fit to be climbed? `toprope check TASK`: every figure with its limit and the reason for it.

Draws are made twice and compared; null answers, the task's own baselines and probes of the user's are scored on fresh
hidden draws in the real scorer and sandbox; and a whole climb runs on the null-skill twin, whose gold nobody can know.
"""

from __future__ import annotations

import json
import math
import os
import pickle
import secrets
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from toprope import wire
from toprope.errors import UsageError
from toprope.protocols import Dialogue, Outputs, Task
from toprope.referee.messages import ScorerConfig
from toprope.referee.panel import Column, Panel, by_kind
from toprope.referee.pool import ScorerPool
from toprope.run.submit import read_candidate
from toprope.seeding import derive
from toprope.stats.betting import minimum_detectable
from toprope.stats.intervals import Estimate, difference, ratio
from toprope.stats.spending import attempt_level
from toprope.tasks import registry
from toprope.types import Array, Candidate, Draw, Floats, Split

Progress = Callable[[str, float], None]
DRAWS, NULL_DRAWS, REPEATED = 48, 48, 3  # hidden draws for candidates, for null answers, made twice
FLOOR = 0.10  # value above which a null answer or a probe has found a short cut
NULL_EXPERIMENTS = 96
HIDDEN: tuple[Split, ...] = ("val", "measure", "test")


class Check(msgspec.Struct, frozen=True):
    """One figure, whether it is within its limit, and why that matters or what was seen."""

    name: str
    ok: bool
    value: float
    limit: float
    why: str


def check(task_id: str, probes: Path | None, tier: str, workers: int, progress: Progress) -> dict[str, Any]:
    """The JSON object of `toprope check` (exit 1 if not admitted). probes: a directory of candidate directories."""
    task, secret = registry.load(task_id), secrets.token_bytes(16)
    extra = _probes(probes, task) if probes is not None else {}
    for split in ("dev", "measure"):
        task.prepare(split, progress)
    checks = [repeats(task), *anchors(task)]
    progress("null answers", 0.2)
    checks.append(null_answers(task))
    progress("baselines and probes in the sandbox", 0.4)
    checks += candidates(task, secret, tier, workers, extra)
    progress("a climb on the null-skill twin", 0.7)
    checks.append(null_twin(task_id, workers))
    return {
        "task": task_id,
        "admitted": all(c.ok for c in checks),
        "checks": [msgspec.structs.asdict(c) for c in checks],
        "public_secrets": task.spec.public_secrets,
    }


def _probes(folder: Path, task: Task) -> dict[str, Candidate]:
    found = {p.name: read_candidate(p, None, task.spec) for p in sorted(folder.glob("*")) if p.is_dir()}
    if not found:
        raise UsageError(f"probes {folder} hold no candidate; expected one directory with a solution.py for each")
    return found


# ---------------------------------------------------------------- draws


def _draw(task: Task, split: Split, index: int, why: str) -> Draw:
    """One draw with a seed of its own, as in a run: a task need not mix the index into it."""
    return task.generate(split, index, derive(why.encode(), split, index))


def repeats(task: Task) -> Check:
    """Whether a draw made again, after others, is the same to the byte, gold included."""

    def made(split: Split, index: int) -> bytes:
        d = _draw(task, split, index, "repeats")
        return pickle.dumps((d.public, _arrays(d.private), d.floor, d.ceiling, d.group))

    wanted: list[tuple[Split, int]] = [(s, i) for s in ("dev", "measure") for i in range(REPEATED)]
    first = {name: made(*name) for name in wanted}
    other = sum(first[name] != made(*name) for name in reversed(wanted))
    return Check("draws repeat", other == 0, other, 0, "a draw is a function of split, index and seed: verify needs it")


def _arrays(private: Any) -> Any:
    """A private part as something whose bytes can be compared."""
    return msgspec.structs.astuple(private) if isinstance(private, msgspec.Struct) else private


def anchors(task: Task) -> Iterator[Check]:
    """Room between floor and ceiling, and the cost of a draw."""
    began = time.process_time()
    draws = [_draw(task, "measure", i, "anchors") for i in range(NULL_DRAWS)]
    each = 1000 * (time.process_time() - began) / len(draws)
    gaps = np.array([d.ceiling - d.floor for d in draws])
    z = gaps.mean() / max(gaps.std(ddof=1) / math.sqrt(len(gaps)), 1e-12)
    yield Check("gap", bool(z >= 5), round(min(z, 1e6), 1), 5, f"mean gap {gaps.mean():.3f} in its standard errors")
    size = max(sum(a.nbytes for a in d.public.values()) for d in draws) / 2**20
    room = task.spec.limits.memory_mb / 4
    yield Check("draw size", size <= room, round(size, 2), room, "MiB a candidate is given; a quarter of its memory")
    yield Check("draw cost", each <= 1000, round(each, 1), 1000, "CPU ms to generate one: hidden slices take hundreds")


# ---------------------------------------------------------------- answers without thought

FILLS: dict[str, Callable[[Array, tuple[int, ...], np.random.Generator], Floats]] = {
    "lowest": lambda a, shape, rng: np.full(shape, -1.0 if a.low is None else a.low),
    "middle": lambda a, shape, rng: np.full(shape, np.mean([a.low or 0.0, 1.0 if a.high is None else a.high])),
    "highest": lambda a, shape, rng: np.full(shape, 1.0 if a.high is None else a.high),
    "random": lambda a, shape, rng: rng.uniform(a.low or 0.0, 1.0 if a.high is None else a.high, shape),
    "in order": lambda a, shape, rng: np.broadcast_to(np.linspace(a.low or 0.0, a.high or 1.0, shape[-1]), shape),
}


def null_answers(task: Task) -> Check:
    """The best of five ways to answer without looking, over every way to speak to the task."""
    worst, name = -math.inf, ""
    draws = [_draw(task, "measure", i, "null answers") for i in range(NULL_DRAWS)]
    for entries in _ways(task, draws[0]):
        for fill in FILLS:
            answers = (_answered(task.dialogue(d, entries), fill, i) for i, d in enumerate(draws))
            scores = np.array([task.score(a, d)[0] for a, d in zip(answers, draws, strict=True)])
            value = _value(scores, draws)
            if value > worst:
                worst, name = value, f"{fill}, by {', '.join(sorted(entries))}"
    why = f"the best is {name!r}; whoever does not look at a draw must stay at the floor"
    return Check("null answers", worst <= FLOOR, round(worst, 3), FLOOR, why)


def _ways(task: Task, draw: Draw) -> list[frozenset[str]]:
    """Smallest sets of entry points the task talks to."""
    names, found = task.spec.entries, list[frozenset[str]]()
    for mask in sorted(range(1, 2 ** len(names)), key=lambda m: m.bit_count()):
        entries = frozenset(n for i, n in enumerate(names) if mask >> i & 1)
        if any(have <= entries for have in found):
            continue
        try:
            task.dialogue(draw, entries).close()
        except ValueError:
            continue
        found.append(entries)
    return found


def _answered(dialogue: Dialogue, fill: str, seed: int) -> Outputs:
    rng = np.random.default_rng(seed)
    question = next(dialogue)
    while True:
        answers = {
            a.name: np.asarray(FILLS[fill](a, (1, *a.shape), rng), dtype=a.dtype)
            for call in question.calls
            for a in call.returns
        }
        try:
            question = dialogue.send(answers)
        except StopIteration as end:
            return dict(end.value)


def _value(scores: Floats, draws: list[Draw]) -> float:
    floors, ceilings = np.array([d.floor for d in draws]), np.array([d.ceiling for d in draws])
    gap = (ceilings - floors).sum()
    return float((scores - floors).sum() / gap) if gap > 0 else math.inf  # without a gap anything pays


# ---------------------------------------------------------------- candidates


def candidates(task: Task, secret: bytes, tier: str, workers: int, probes: dict[str, Candidate]) -> Iterator[Check]:
    """Starter, baselines and probes on the same hidden draws."""
    pool = ScorerPool(ScorerConfig(task.spec.id, dict.fromkeys(HIDDEN, secret), tier, secret), workers)
    params = task.space.decode(task.space.default()) if task.space is not None else {}
    starter = Candidate(task.starter(), params)
    known = {name: Candidate(b.tree, b.params) for name, b in task.baselines().items()}
    try:
        panel = Panel(pool, "measure", 0)
        groups = [[starter], *by_kind(list(known.values())), *([c] for c in probes.values())]
        columns = panel.grouped(groups, DRAWS)
        by_id = dict(zip([c.id for g in groups for c in g], columns, strict=True))
    finally:
        pool.close()
    own = by_id[starter.id]
    failed = [n for n, c in {"starter": starter, **known}.items() if np.isnan(by_id[c.id].scores).any()]
    yield Check("baselines run", not failed, len(failed), 0, f"failed: {', '.join(failed) or 'none'}")
    values = {name: _estimate(by_id[c.id]) for name, c in known.items()}
    best = max(values, key=lambda n: values[n].value)
    top = by_id[known[best].id]
    gain = difference(top.counted, own.counted, own.floors, own.ceilings)
    yield Check("something to find", gain.lo > 0, round(gain.lo, 3), 0, f"{best} over the starter: {_said(gain)}")
    room = values[best]
    yield Check("headroom", room.hi < 1, round(room.hi, 3), 1, f"{best} is at {_said(room)}; 1 is the ceiling")
    yield _clipped(task, [by_id[c.id] for c in known.values()], own)
    yield _resolved(task, own, gain)
    seen = sum(len(i) for i in panel.incidents.values())
    yield Check("quiet honeypots", seen == 0, seen, 0, "incidents that the task's own baselines set off")
    limit = max(FLOOR, _estimate(own).value)
    for name, probe in probes.items():
        e = _estimate(by_id[probe.id])
        yield Check(f"probe {name}", e.lo <= limit, round(e.value, 3), round(limit, 3),
                    f"{_said(e)}; a probe must not be above the starter, nor above {FLOOR}")  # fmt: skip


def _estimate(column: Column) -> Estimate:
    return ratio(column.counted, column.floors, column.ceilings)


def _said(e: Estimate) -> str:
    return f"{e.value:.3f} [{e.lo:.3f}, {e.hi:.3f}]"


def _clipped(task: Task, columns: list[Column], own: Column) -> Check:
    """The gate's null is about clipped differences: clipping must not turn worse into better."""
    turned, beyond, clip = 0, [0.0], task.spec.metric.clip
    for column in columns:
        raw = column.counted - own.counted
        cut = np.clip(raw, -clip, clip)
        beyond.append(float(np.mean(np.abs(raw) > clip)))
        sure = [abs(d.mean()) > 3 * d.std(ddof=1) / math.sqrt(len(d)) for d in (raw, cut)]
        turned += bool(all(sure) and raw.mean() * cut.mean() < 0)
    why = (
        f"baselines that clipping at {clip} puts on the other side of the starter; up to {max(beyond):.0%} of draws cut"
    )
    return Check("clipping", turned == 0, turned, 0, why)


def _resolved(task: Task, own: Column, gain: Estimate) -> Check:
    alpha = math.exp(-attempt_level(1, 1, 1000))
    metric = task.spec.metric
    least = minimum_detectable(task.spec.splits.val_slice, metric.spread, metric.clip, alpha)
    least /= float((own.ceilings - own.floors).mean())
    why = f"gain resolved at the 1,000th attempt, in {metric.unit}; at most what the best baseline gains"
    return Check("resolution", least <= gain.value, round(least, 3), round(gain.value, 3), why)


# ---------------------------------------------------------------- the null-skill twin


def null_twin(task_id: str, workers: int) -> Check:
    """A climb on unknowable gold, gate and all, in a vault of its own: a promotion is a leak (or one in twenty)."""
    with tempfile.TemporaryDirectory() as folder:
        argv = wire.command("toprope.cli", "climb", task_id + registry.NULL, "--json")
        argv += ["--experiments", str(NULL_EXPERIMENTS), "--workers", str(workers), "--run", f"{folder}/run"]
        environment = {**os.environ, "TOPROPE_VAULT": f"{folder}/vault"}
        told = subprocess.run(argv, capture_output=True, text=True, env=environment, check=False)
    if told.returncode:
        return Check("null-skill twin", False, told.returncode, 0, f"the climb on it failed: {told.stderr.strip()}")
    done = json.loads(told.stdout)
    why = f"promotions in {done['experiments']} experiments, {done['attempts']} attempts on gold that nobody can know"
    return Check("null-skill twin", done["promotions"] == 0, done["promotions"], 0, why)
