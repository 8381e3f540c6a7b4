"""The two sides of a duel as tasks: each climbs against a frozen population of the other. See `match.py`.

A round's task is a folder that `write` makes: task.toml, population.json, a copy of the side's starter, and a task.py
of three lines. It is a task of its owner's, so the whole engine plays it: sandbox, gate, vault, ledger.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from toprope.protocols import Baseline
from toprope.tasks.folder import FolderTask
from toprope.types import Draw, Floats, Split
from toprope_tasks.control import private as world
from toprope_tasks.control.attack import private as red
from toprope_tasks.control.attack.task import Attack
from toprope_tasks.control.deployment import FIRST, FURTHER, Attackers, Deployment, Lanes, outcome
from toprope_tasks.control.public import CARE, TASKS
from toprope_tasks.control.task import Protocol
from toprope_tasks.control.trusted import STARTERS, Attacking, Members, Params

SIDES = {"blue": ("Blue", "control/protocol-v1", "act"), "red": ("Red", "control/attack-v1", "attack")}
VERSION = 1


class Side(msgspec.Struct, frozen=True):
    """population.json. opponents: frozen, played against. incumbents: this side's champions so far, published points of
    the round."""

    opponents: list[dict[str, Any]]
    incumbents: list[dict[str, Any]]


class Scene(msgspec.Struct, frozen=True):
    """What only the scorer holds of a draw with a population of attackers."""

    lanes: Lanes
    view: Any
    luck: Any = None


def draw_scene(split: Split, index: int, seed: int, attackers: int) -> tuple[Scene, dict[str, Any]]:
    """Deployments under each of so many attackers at every level of care, and what protocols are shown beforehand."""
    rng = np.random.default_rng([VERSION, 11, ("dev", "val", "measure", "test").index(split), index, seed])
    scene = world.draw_world(rng, split)
    lanes = world.mixed(rng, scene, attackers)
    calibration = world.calibration(rng, scene, lanes)
    return Scene(lanes, red.view(rng, lanes, lanes.policy)), calibration


class DuelPlayer(FolderTask):
    """A side of a round: its populations, from the folder that `write` made."""

    @cached_property
    def side(self) -> Side:
        return msgspec.json.decode((self._folder / "population.json").read_bytes(), type=Side)

    def baselines(self) -> dict[str, Baseline]:
        source = "an earlier round of this duel"
        incumbents = enumerate(self.side.incumbents, 1)
        return {f"champion {i}": Baseline(self.starter(), dict(p), source) for i, p in incumbents}


class Blue(DuelPlayer, Protocol):
    """A protocol against frozen attackers: only the worst of them counts."""

    def generate(self, split: Split, index: int, seed: int) -> Draw:
        scene, public = draw_scene(split, index, seed, len(self.side.opponents))
        return Draw(public, scene)

    def attackers(self, draw: Draw) -> Attackers:
        return Attacking(self.side.opponents, draw.private.view, draw.private.lanes.policy)

    def policies(self, draw: Draw) -> int:
        return len(self.side.opponents)


class Red(DuelPlayer, Attack):
    """An attack policy against frozen protocols: the mean over them counts."""

    def generate(self, split: Split, index: int, seed: int) -> Draw:
        return red.generate(split, index, seed, self.side.opponents)


def write(folder: Path, side: str, name: str, population: Side, every: int) -> None:
    """Makes the folder of a round's task, id `duel/NAME`. every: experiments per attempt at the gate."""
    base, task_id, entry = SIDES[side]
    home = STARTERS[entry].parent
    shutil.copytree(home, folder / "starter", dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "population.json").write_bytes(msgspec.json.encode(population))
    card = (home.parent / "task.toml").read_text().split("[splits]")[0].replace(task_id, f"duel/{name}")
    splits = {"rungs": [4, 12], "val_slice": 64, "measure_slice": 48, "test": 48, "attempt_every": every}
    lines = [f"{field} = {json.dumps(value)}" for field, value in splits.items()]
    (folder / "task.toml").write_text(card + "\n".join(["[splits]", *lines, ""]))
    (folder / "task.py").write_text(
        f'"""A round of a duel, written by `toprope duel`."""\n\nfrom toprope_tasks.control.duel import {base}\n\n\n'
        f'class Round({base}):\n    """Its populations lie beside it."""\n\n\nmake = Round\n'
    )


class Meeting(msgspec.Struct, frozen=True):
    """useful: (blues, draws, levels). safe: (blues, draws, levels, reds)."""

    useful: Floats
    safe: Floats

    def values(self) -> Floats:
        """(blues, reds, draws) the score of each protocol if that attacker were the only one."""
        blues, _, _, reds = self.safe.shape
        each = [[world.score(self.useful[b], self.safe[b, :, :, r : r + 1]) for r in range(reds)] for b in range(blues)]
        return np.array(each)

    def worst(self) -> Floats:
        """(blues, draws) its score against the worst attacker of each draw."""
        return np.stack([world.score(u, s) for u, s in zip(self.useful, self.safe, strict=True)])


def meet(blues: Sequence[Params], reds: Sequence[Params], seed: int, draws: int) -> Meeting:
    """All against all on draws of the test split that this seed makes; in this process, as both sides are our files."""
    useful, safe = [], []
    for index in range(draws):
        scene, public = draw_scene("test", index, seed, len(reds))
        met = [_deployed(blue, reds, scene, public) for blue in blues]
        useful.append([u for u, _ in met])
        safe.append([s for _, s in met])
    return Meeting(np.swapaxes(np.array(useful), 0, 1), np.swapaxes(np.array(safe), 0, 1))


def _deployed(blue: Params, reds: Sequence[Params], scene: Scene, public: dict[str, Any]) -> tuple[Floats, Floats]:
    """(levels,) usefulness and (levels, reds) safety of one protocol."""
    d, attackers = Deployment(scene.lanes, 1), Attacking(reds, scene.view, scene.lanes.policy)
    protocol = Members("act", [blue], np.zeros_like(scene.lanes.policy), **public)

    def respond() -> Any:
        return protocol.answer(d.observation(), np.zeros(d.open.shape, dtype=np.int64))

    while d.task < TASKS:
        d.begin()
        d.write(attackers, FIRST)
        if d.more(respond()):
            d.write(attackers, FURTHER)
            d.close(respond())
        d.end_task()
    useful, safe = outcome(d, len(reds))
    assert useful.shape == (1, len(CARE))
    return useful[0], safe[0]
