"""What can differ from one rpn to the next: 18 decisions, ten letters, seven wordings; more than 2^70 dialects.

Somebody who knows dc knows none of it: letters, wordings and decisions are drawn for each instance.
"""

from __future__ import annotations

import string
from typing import NamedTuple

from toprope_tasks.mirror.dice import Dice

COMMANDS = ("print", "dump", "dup", "swap", "drop", "depth", "clear", "store", "load", "sum")
ROOT = "v"  # the square root's word, in every dialect
ROUNDINGS = ("zero", "floor", "away", "half away", "half even")
REMAINDERS = ("dividend", "divisor", "positive")
MINUS = ("before", "after", "paren", "sign")
GROUPS = ("", ",", "'", " ")
DUMPS = ("lines", "spaced", "numbered")
AFTER = ("stop", "keep", "lose")
CODES = ("one", "kind", "count")
MESSAGES = ("name", "word", "token", "mark")
SIGNS = ("_", "~", "!")
WORDINGS = {
    "short": ("too few numbers", "stack is short", "not enough operands", "nothing left to take", "stack underflow"),
    "zero": ("division by zero", "cannot divide by nothing", "zero divisor", "divided by 0", "no quotient"),
    "domain": ("root of a negative number", "no real root", "negative under the root", "bad radicand"),
    "whole": ("exponent is not whole", "fractional exponent", "power wants an integer", "bad exponent"),
    "large": ("exponent is too large", "number too big", "result would not fit", "out of range"),
    "unset": ("register is empty", "nothing stored there", "unset register", "no such value"),
    "unknown": ("unknown word", "what is that", "not a command", "cannot read this", "bad token"),
}
KINDS = tuple(WORDINGS)


class RpnDialect(NamedTuple):
    """letters: command -> letter. words: kind of error -> wording. codes_of: kind -> exit code under codes "kind"."""

    letters: dict[str, str]
    words: dict[str, str]
    codes_of: dict[str, int]
    sign: str  # of a negative number, as it is typed
    scale: int  # decimals
    rounding: str
    remainder: str  # whose sign it has
    zeros: str  # trailing: keep or strip
    lead: str  # of numbers below one: "zero" or "bare"
    minus: str
    group: str  # between groups of three digits
    order: str  # a b - is a - b ("under") or b - a ("top")
    first: str  # what a dump begins with: "top" or "bottom"
    dump: str
    pop: str  # whether print takes the number: "keeps" or "takes"
    after: str  # an error
    codes: str
    message: str
    unset: str  # a register: "zero" or "error"
    power: str  # rounded at "each" multiplication or at the "end"
    joined: str  # several -e: "one" program, or each with a "fresh" stack


def draw(dice: Dice) -> RpnDialect:
    chosen = dice.sample(string.ascii_lowercase, len(COMMANDS))
    spare = next(x for x in string.ascii_lowercase if x not in chosen and x != ROOT)
    letters = {name: spare if x == ROOT else x for name, x in zip(COMMANDS, chosen, strict=True)}
    words = {kind: dice.pick(options) for kind, options in WORDINGS.items()}
    codes_of = dict(zip(KINDS, dice.sample(range(3, 30), len(KINDS)), strict=True))
    return RpnDialect(
        letters,
        words,
        codes_of,
        sign=dice.pick(SIGNS),
        scale=dice.between(1, 5),
        rounding=dice.pick(ROUNDINGS),
        remainder=dice.pick(REMAINDERS),
        zeros=dice.pick(("keep", "strip")),
        lead=dice.pick(("zero", "bare")),
        minus=dice.pick(MINUS),
        group=dice.pick(GROUPS),
        order=dice.pick(("under", "top")),
        first=dice.pick(("top", "bottom")),
        dump=dice.pick(DUMPS),
        pop=dice.pick(("keeps", "takes")),
        after=dice.pick(AFTER),
        codes=dice.pick(CODES),
        message=dice.pick(MESSAGES),
        unset=dice.pick(("zero", "error")),
        power=dice.pick(("each", "end")),
        joined=dice.pick(("one", "fresh")),
    )
