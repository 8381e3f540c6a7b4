"""Red and blue climb in turn, each against the frozen champions of the other; then all of them meet on sealed draws.

    toprope duel [--rounds 3] [--experiments 300] [--run DIR] [--json]

A round is two climbs of the whole engine (sandbox, gate, vault): blue against every attacker so far, then red against
every protocol so far, the new one included. A side's champion is what its gate promoted last, else its champion of the
round before. DIR/duel.json holds the state after every climb; naming DIR again continues. The seed of the last meeting
is drawn when the climbs are over, so no climb can have been influenced by it. Red and blue rounds: Async Control
(arXiv:2512.13526).
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

import toprope
from toprope.errors import UsageError
from toprope.stats.intervals import ratio
from toprope.types import Floats
from toprope_tasks.control import duel as sides
from toprope_tasks.control.attack.space import SPACE as RED
from toprope_tasks.control.space import SPACE as BLUE

Progress = Callable[[str, float], None]
SPACES = {"blue": BLUE, "red": RED}
OTHER = {"blue": "red", "red": "blue"}
MEETING = 48  # sealed draws on which all meet
FROZEN = 8  # opponents a side faces at most: the first and the latest


class Climb(msgspec.Struct, frozen=True):
    """One climb of a duel. champion: parameters, in force after it. value: measured on fresh draws against the
    opponents of the round; None if nothing was promoted."""

    round: int
    side: str
    champion: dict[str, Any]
    promotions: int
    experiments: int
    value: float | None


class Duel(msgspec.Struct):
    """duel.json. meeting: None until the climbs are over."""

    rounds: int
    experiments: int
    seed: int
    climbs: list[Climb] = []
    meeting: dict[str, Any] | None = None

    def champions(self, side: str) -> list[dict[str, Any]]:
        """The starter, then the champion of each finished round."""
        space = SPACES[side]
        return [space.decode(space.default()), *(c.champion for c in self.climbs if c.side == side)]


def duel(folder: Path, ask: Duel, workers: int, progress: Progress) -> dict[str, Any]:
    """The JSON object of `toprope duel`. Raises UsageError if the folder holds another duel, or a climb fails."""
    state, path = opened(folder, ask), folder / "duel.json"
    total = 2 * state.rounds + 1
    while len(state.climbs) < 2 * state.rounds:
        number, side = len(state.climbs) // 2 + 1, ("blue", "red")[len(state.climbs) % 2]
        progress(f"round {number} of {state.rounds}: {side} climbs", len(state.climbs) / total)
        state.climbs.append(climbed(folder, state, number, side, workers))
        _save(path, state)
    if state.meeting is None:
        progress("all meet on sealed draws", (total - 1) / total)
        state.meeting = met(state.champions("blue"), state.champions("red"), secrets.randbits(62), MEETING)
        _save(path, state)
    progress("done", 1.0)
    return {"run": str(folder), **msgspec.to_builtins(state)}


def opened(folder: Path, ask: Duel) -> Duel:
    """The state in the folder, or a new one. More rounds than before may be asked for; nothing else may differ."""
    path = folder / "duel.json"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        _save(path, ask)
        return ask
    try:
        state = msgspec.json.decode(path.read_bytes(), type=Duel)
    except msgspec.MsgspecError as e:
        raise UsageError(f"{path} is no record of a duel: {e}; name another directory") from None
    if (state.experiments, state.seed) != (ask.experiments, ask.seed) or ask.rounds < state.rounds:
        raise UsageError(
            f"{path} holds a duel of {state.rounds} rounds, {state.experiments} experiments, seed {state.seed}; "
            "continue it with the same, or more rounds, or name another directory"
        )
    if ask.rounds > state.rounds:
        state.rounds, state.meeting = ask.rounds, None
    return state


def _save(path: Path, state: Duel) -> None:
    """All or nothing: a duel that is killed here goes on from the climb before."""
    draft = path.with_suffix(".part")
    draft.write_bytes(msgspec.json.format(msgspec.json.encode(state), indent=1))
    draft.replace(path)


def climbed(folder: Path, state: Duel, number: int, side: str, workers: int) -> Climb:
    """One climb, continued if it was interrupted."""
    home = folder / f"{number}-{side}"
    opponents = state.champions(OTHER[side])
    faced = opponents if len(opponents) <= FROZEN else opponents[:1] + opponents[1 - FROZEN :]
    population = sides.Side(faced, state.champions(side)[1:])
    every = max(1, state.experiments // 2)
    sides.write(home, side, f"{side}-{number}-v1", population, every)
    done = _engine(home, state, workers)
    promotions = sum(a.promoted for a in done.answers)
    held = done.champion.params if promotions else state.champions(side)[-1]
    value = round(done.measured.value, 4) if done.measured is not None else None
    return Climb(number, side, held, promotions, done.experiments, value)


def _engine(home: Path, state: Duel, workers: int) -> toprope.RunHistory:
    run, vault = home / "run", home.parent / "vault"
    if (run / "ledger.db").is_file():
        return toprope.resume(run, task=home, workers=workers, vault=vault)
    return toprope.climb(home, run=run, workers=workers, vault=vault, experiments=state.experiments, seed=state.seed)


def met(blues: list[dict[str, Any]], reds: list[dict[str, Any]], seed: int, draws: int) -> dict[str, Any]:
    """values: [blue][red], each blue's mean score if that attacker were the only one. worst: per blue, {value, lo, hi}
    against the worst attacker of each draw."""
    meeting = sides.meet(blues, reds, seed, draws)
    return {
        "seed": seed,
        "draws": draws,
        "values": np.round(meeting.values().mean(axis=2), 4).tolist(),
        "worst": [_interval(scores) for scores in meeting.worst()],
    }


def _interval(scores: Floats) -> dict[str, float]:
    e = ratio(scores, np.zeros(len(scores)), np.ones(len(scores)))
    return {"value": round(e.value, 4), "lo": round(e.lo, 4), "hi": round(e.hi, 4)}
