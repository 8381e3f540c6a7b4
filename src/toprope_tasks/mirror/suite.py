"""Draws: one template, several cases of it. Referee only.

Practice draws hold pairs: two cases of one template with other values. A coin decides which of the two an author is
shown (with its answer) and is scored; the other, its *dual*, is run beside it and only counted. Nothing but that coin
tells them apart, so a candidate that passes the shown ones more often than their duals carries their answers (these are
MirrorCode's duals; with a coin the test is exact). A few shown answers are wrong on purpose: *errata*, each a uniform
choice among at least `ALTERATIONS` equally good ones, so a program that computes its answer cannot match it.

Coins and errata come from the instance's secret, never from the seed of practice draws, which is public.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from toprope.types import Draw, Split
from toprope_tasks.mirror import packing
from toprope_tasks.mirror.dice import Dice
from toprope_tasks.mirror.instance import Instance
from toprope_tasks.mirror.packing import Bytes, ProgramAnswer, ProgramCase
from toprope_tasks.mirror.programs import Leaves, MirrorProgram

CASES = 8  # a draw; on dev four pairs
WIDTH = 1024  # bytes of a packed answer
ERRATA = 0.125  # of practice draws have one, where some shown answer has digits enough
ALTERATIONS = 10**8  # equally likely ways to be wrong: the chance of having one right is at most 1e-8
TRIES = 12


class SuiteGold(msgspec.Struct, frozen=True):
    """What only the scorer holds, by case. dual: (n,) the sibling on practice draws, -1 on hidden ones. shown: (n,)
    what counts; on hidden draws all. erratum: the case whose gold is wrong, or -1. key: of the null twin's gold."""

    cases: tuple[ProgramCase, ...]
    gold: tuple[ProgramAnswer, ...]
    rows: Bytes  # (n, WIDTH) the gold, packed
    shown: NDArray[np.bool_]
    dual: NDArray[np.int64]
    erratum: int
    partial: bool
    stratum: str
    key: bytes = b""


def generate(program: MirrorProgram, dialect: Any, own: Instance, split: Split, index: int, seed: int) -> Draw:
    """Practice draws go round the strata; hidden ones draw theirs, so that a slice is a sample."""
    dice = Dice(program.name, split, index, seed)
    n = len(program.strata)
    stratum = index % n if split == "dev" else dice.below(n)
    leaves = program.template(dialect, program.strata[stratum], dice)
    if split == "dev":
        private = _practice(program, dialect, leaves, dice, Dice(own.secret, program.name, index, seed), stratum)
    else:
        pairs = [_drawn(program, dialect, leaves, dice) for _ in range(CASES)]
        private = _private(pairs, np.ones(CASES, bool), np.full(CASES, -1), -1, program.strata[stratum], False)
    return Draw({"cases": packing.pack(private.cases)}, private, group=stratum)


def _drawn(program: MirrorProgram, dialect: Any, leaves: Leaves, dice: Dice) -> tuple[ProgramCase, ProgramAnswer]:
    case = leaves(dice)
    return case, program.run(dialect, case)


def _practice(program: MirrorProgram, dialect: Any, leaves: Leaves, dice: Dice, coins: Dice, stratum: int) -> SuiteGold:
    pairs = [_pair(program, dialect, leaves, dice) for _ in range(CASES // 2)]
    order = coins.sample(range(CASES), CASES)  # place i holds member order[i]: pair order[i] // 2
    where = np.argsort(order)
    flat = [pairs[m // 2][m % 2] for m in order]
    shown, dual = np.zeros(CASES, bool), np.empty(CASES, np.int64)
    spoiled, erratum = _spoiled(pairs, coins), -1
    for i in range(CASES // 2):
        first, second = int(where[2 * i]), int(where[2 * i + 1])
        dual[first], dual[second] = second, first
        seen = first if coins.chance(0.5) else second
        shown[seen] = True
        erratum = seen if i == spoiled else erratum
    if erratum >= 0:
        flat[erratum] = flat[erratum][0], altered(flat[erratum][1], coins)
    return _private(flat, shown, dual, erratum, program.strata[stratum], True)


def _pair(program: MirrorProgram, dialect: Any, leaves: Leaves, dice: Dice) -> list[tuple[ProgramCase, ProgramAnswer]]:
    """Two cases with other answers and the same exit code, if the template has such; drawn alike, so exchangeable."""
    for _ in range(TRIES):
        a, b = (_drawn(program, dialect, leaves, dice) for _ in range(2))
        if a[1] != b[1] and a[1].code == b[1].code:
            break
    return [a, b]


def _private(
    flat: list[tuple[ProgramCase, ProgramAnswer]], shown: Any, dual: Any, erratum: int, stratum: str, partial: bool
) -> SuiteGold:
    gold = tuple(answer for _, answer in flat)
    rows = np.stack([packing.row(answer, WIDTH) for answer in gold])
    return SuiteGold(tuple(case for case, _ in flat), gold, rows, shown, dual, erratum, partial, stratum)


# ---------------------------------------------------------------- errata


def _spoiled(pairs: list[list[tuple[ProgramCase, ProgramAnswer]]], coins: Dice) -> int:
    """The pair of which the shown answer will be wrong, in one draw of 1 / ERRATA; -1 for none. Chosen by its poorer
    member, before the coin: were it left out of the count for what is shown, the coins of the others were not fair."""
    fewest = [min(len(_digits(answer.out)) for _, answer in pair) for pair in pairs]
    best = int(np.argmax(fewest))
    return best if coins.chance(ERRATA) and changes(fewest[best]) else -1


def _digits(text: bytes) -> list[int]:
    return [i for i, c in enumerate(text) if 48 <= c <= 57]


def changes(digits: int) -> int:
    """The fewest digits to change so that there are ALTERATIONS ways to; 0 if more than two thirds would be."""
    for t in range(1, 2 * digits // 3 + 1):
        if math.comb(digits, t) * 9**t >= ALTERATIONS:
            return t
    return 0


def altered(answer: ProgramAnswer, coins: Dice) -> ProgramAnswer:
    """A uniform choice among all answers that differ from this one in exactly `changes` digits of stdout."""
    places, out = _digits(answer.out), bytearray(answer.out)
    for i in coins.sample(places, changes(len(places))):
        out[i] = 48 + (out[i] - 48 + coins.between(1, 9)) % 10
    return answer._replace(out=bytes(out))


def wrong(answer: ProgramAnswer, turn: int) -> ProgramAnswer:
    """Decoy gold: every digit is shifted by `turn`, or a digit is added to an answer without digits."""
    out = bytes(48 + (c - 48 + turn) % 10 if 48 <= c <= 57 else c for c in answer.out)
    return answer._replace(out=out if out != answer.out else answer.out + b"%d\n" % turn)
