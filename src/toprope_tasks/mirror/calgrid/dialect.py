"""What can differ from one calgrid to the next: the calendar itself, 17 decisions of rule and layout, the wordings.

Weeks of five to nine days, eight to fourteen months of 20 to 34: the lengths alone are more than 2^40 calendars, so no
date library knows one.
"""

from __future__ import annotations

from typing import NamedTuple

from toprope_tasks.mirror.dice import Dice

SYLLABLES = ("ba", "dor", "fen", "gil", "hu", "jas", "ko", "lim", "mer", "nov", "or", "pel", "qua", "ris", "sta", "tun")
ENDS = ("", "a", "el", "is", "o", "um")
ALIGN = ("right", "left", "zero")
GAPS = (" ", "  ", "|", "/")
BLANKS = (" ", "-", ".", "_")
TITLES = ("month year", "year month", "month, year", "number")
PLACES = ("left", "centre", "right")
LEAPS = ("every", "except", "unless")
WEEKS = ("first", "full", "month")
MARKS = ("stars", "hashes", "blank")
CASES = ("given", "upper", "lower")
CODES = ("one", "kind", "two")
MESSAGES = ("name", "value", "mark", "usage")
WORDINGS = {
    "month": ("no such month", "month out of range", "bad month", "what month is that"),
    "year": ("year out of range", "no such year", "bad year", "years are 1 to 9999"),
    "day": ("no such day", "day out of range", "bad day", "that month is shorter"),
    "name": ("ambiguous name", "which one", "name fits several", "more letters, please"),
    "option": ("unknown option", "bad option", "no such flag", "wrong arguments"),
}
KINDS = tuple(WORDINGS)


class CalgridDialect(NamedTuple):
    """days: names, in order. months: (name, length). long: the month that has one day more in a leap year."""

    days: tuple[str, ...]
    months: tuple[tuple[str, int], ...]
    long: int
    cycle: tuple[int, int, int]  # leap years: every a-th, but not every b-th, yet every c-th
    words: dict[str, str]
    codes_of: dict[str, int]
    leap: str  # how much of that rule holds
    epoch: int  # the day of the first day of year 1
    start: int  # the day a row begins with
    head: int  # letters of a day's name
    align: str
    gap: str
    blank: str
    title: str
    place: str
    letters: str  # of the month's name in the title
    trail: str  # spaces at the end of a line: keep or strip
    rows: str  # "needed" or "same": as many as the longest month can need
    weeks: str  # how they are counted
    side: str  # where their numbers stand
    mark: str
    codes: str
    message: str


def draw(dice: Dice) -> CalgridDialect:
    size, count = dice.between(5, 9), dice.between(8, 14)
    names = _names(dice, size + count)
    months = tuple((name, dice.between(20, 34)) for name in names[size:])
    a = dice.between(3, 7)
    b = a * dice.between(4, 12)
    return CalgridDialect(
        days=tuple(names[:size]),
        months=months,
        long=dice.below(count),
        cycle=(a, b, b * dice.between(2, 5)),
        words={kind: dice.pick(options) for kind, options in WORDINGS.items()},
        codes_of=dict(zip(KINDS, dice.sample(range(3, 30), len(KINDS)), strict=True)),
        leap=dice.pick(LEAPS),
        epoch=dice.below(size),
        start=dice.below(size),
        head=dice.between(1, 3),
        align=dice.pick(ALIGN),
        gap=dice.pick(GAPS),
        blank=dice.pick(BLANKS),
        title=dice.pick(TITLES),
        place=dice.pick(PLACES),
        letters=dice.pick(CASES),
        trail=dice.pick(("keep", "strip")),
        rows=dice.pick(("needed", "same")),
        weeks=dice.pick(WEEKS),
        side=dice.pick(("left", "right")),
        mark=dice.pick(MARKS),
        codes=dice.pick(CODES),
        message=dice.pick(MESSAGES),
    )


def _names(dice: Dice, n: int) -> list[str]:
    """Distinct made-up names."""
    found: list[str] = []
    while len(found) < n:
        name = (dice.pick(SYLLABLES) + dice.pick(SYLLABLES) + dice.pick(ENDS)).capitalize()
        if name not in found:
            found.append(name)
    return found
