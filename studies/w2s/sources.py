"""Lists of draws by name: of the tasks' splits, of one level of noise, of a bank of real activations.

w2s/probe-v2 dev     draws of a split of a task: dev, or measure, which shows hidden draws
level 1.4 4          standard cells with noise of this sd and 1/4 of the gold labels, on visible and demo weights
PATH.npz             admitted concepts of a bank in turn
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import cast

import numpy as np

from toprope.errors import UsageError
from toprope.types import Draw, Split
from toprope_tasks.w2s import cells
from toprope_tasks.w2s.bank import draws as real
from toprope_tasks.w2s.bank import file
from toprope_tasks.w2s.draws import MIXED_PRIOR, Sampler
from toprope_tasks.w2s.states import LINES_PER_OP, open_bank
from toprope_tasks.w2s.task import VISIBLE, WeakToStrong

DEFAULT = ("w2s/probe-v1 dev", "w2s/probe-v1 measure", "w2s/probe-v2 dev", "w2s/probe-v2 measure")


def draws(name: str, count: int, seed: int, lines: int = LINES_PER_OP) -> list[Draw]:
    """`count` draws of a source. lines: size of the synthetic banks. Raises UsageError for a name in no such form."""
    match name.split():
        case [task, ("dev" | "measure") as split]:
            made = WeakToStrong(task, lines_per_op=lines)
            return [made.generate(cast(Split, split), i, seed) for i in range(count)]
        case ["level", tier, noise, blur]:
            return _levelled(tier, float(noise), float(blur), count, seed, lines)
        case [path] if path.endswith(".npz"):
            return _real(Path(path), count, seed)
    raise UsageError(f"source {name!r}: expected 'TASK dev', 'TASK measure', 'level TIER NOISE BLUR' or FILE.npz")


def _levelled(tier: str, noise: float, blur: float, count: int, seed: int, lines: int) -> list[Draw]:
    """Questions of the admitted cells of a tier, with the labels of real banks."""
    rng = np.random.default_rng([seed, len(tier), round(noise * 100), round(blur * 100)])
    samplers = [Sampler(open_bank(path, lambda what, done: None, lines)) for path in VISIBLE]
    asked, found = cells.admitted(tier, "visible"), []
    for i in range(count):
        about = asked[i % len(asked)]
        cell = cells.Cell(about.ops, about.concept, int(rng.choice(cells.FEW)), noise, blur)
        found.append(samplers[i % len(samplers)].draw(cell, rng, prior=MIXED_PRIOR, group=cells.question(cell)))
    return found


def _real(path: Path, count: int, seed: int) -> list[Draw]:
    """Admitted concepts of a bank in turn."""
    sampler = _sampler(path)
    concepts = [i for i, c in enumerate(sampler.bank.manifest.concepts) if real.admitted(c)]
    rng = np.random.default_rng(seed)
    return [sampler.draw(concepts[i % len(concepts)], rng) for i in range(count)]


@cache
def _sampler(path: Path) -> real.Sampler:
    bank = file.read(path)
    return real.Sampler(bank, file.read_labels(path, bank))
