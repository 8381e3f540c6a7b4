"""Cases of calgrid: a template is a set of options; leaves are months, years and days. Referee only."""

from __future__ import annotations

from collections.abc import Callable

from toprope_tasks.mirror.calgrid.dialect import CalgridDialect
from toprope_tasks.mirror.dice import Dice
from toprope_tasks.mirror.packing import ProgramCase
from toprope_tasks.mirror.programs import Leaves

STRATA = (
    "month", "weeks", "in year", "mark", "start", "mixed", "several", "names", "weekday", "between", "year",
    "wrong value", "wrong name",
)  # fmt: skip
OPTIONS = {
    "month": (), "weeks": ("-w",), "in year": ("-j",), "mark": ("-d",), "start": ("-s",), "several": ("-n",),
    "names": (),
}  # fmt: skip


def template(d: CalgridDialect, stratum: str, dice: Dice) -> Leaves:
    """Which options stand there in which order, and which values are at the edge of something."""
    if stratum == "mixed":
        return _month(d, dice, tuple(dice.sample(("-w", "-j", "-d", "-s"), dice.between(2, 3))), dice.chance(0.3))
    if stratum in OPTIONS:
        more = tuple(dice.sample(("-w", "-j", "-s"), 1)) if dice.chance(0.25) else ()
        return _month(d, dice, tuple(dict.fromkeys(OPTIONS[stratum] + more)), stratum == "names")
    if stratum in ("weekday", "between"):
        edge, n = _edge(dice), 1 if stratum == "weekday" else 2
        flag, named = b"-q" if n == 1 else b"-t", dice.chance(0.3)
        return lambda leaf: ProgramCase((flag, *(w for _ in range(n) for w in _date(d, leaf, edge, named))))
    if stratum == "year":
        edge = _edge(dice)
        return lambda leaf: ProgramCase((b"-y", b"%d" % _year(d, leaf, edge)))
    return _wrong(d, dice, stratum)


def _month(d: CalgridDialect, dice: Dice, options: tuple[str, ...], named: bool) -> Leaves:
    edge = _edge(dice)

    def leaves(leaf: Dice) -> ProgramCase:
        argv: list[bytes] = []
        month = leaf.below(len(d.months)) if edge != "long" else d.long
        for option in options:
            argv += [option.encode(), *(VALUES[option](d, leaf, month) if option in VALUES else [])]
        return ProgramCase((*argv, _name(d, leaf, month, named), b"%d" % _year(d, leaf, edge)))

    return leaves


def _start(d: CalgridDialect, leaf: Dice, month: int) -> list[bytes]:
    return [leaf.pick(d.days).encode()]


def _marked(d: CalgridDialect, leaf: Dice, month: int) -> list[bytes]:
    last = d.months[month][1]
    return [b"%d" % (leaf.pick((1, last)) if leaf.chance(0.3) else leaf.between(1, last))]


VALUES: dict[str, Callable[[CalgridDialect, Dice, int], list[bytes]]] = {
    "-s": _start,
    "-d": _marked,
    "-n": lambda d, leaf, month: [b"%d" % leaf.between(1, 2)],
}


def _name(d: CalgridDialect, leaf: Dice, month: int, named: bool) -> bytes:
    """A number, or enough of a name, in some case."""
    if not named:
        return b"%d" % (month + 1)
    name = d.months[month][0].lower()
    enough = next((n for n in range(1, len(name)) if sum(x.lower().startswith(name[:n]) for x, _ in d.months) == 1), 99)
    short = name[: leaf.between(min(enough, len(name)), len(name))]
    return leaf.pick((short, short.capitalize(), short.upper())).encode()


def _edge(dice: Dice) -> str:
    return dice.pick(("any", "any", "any", "leap", "century", "long", "first", "last"))


def _year(d: CalgridDialect, leaf: Dice, edge: str) -> int:
    """Leap years, and years where the exceptions of the rule are, are drawn on purpose."""
    a, b, c = d.cycle
    if edge in ("leap", "long"):
        return a * leaf.between(1, 9999 // a)
    if edge == "century":
        return leaf.pick((b, c)) * leaf.between(1, 9999 // c)
    if edge in ("first", "last"):
        return leaf.between(1, 9) if edge == "first" else leaf.between(9990, 9998)
    return leaf.between(1, 9998)


def _date(d: CalgridDialect, leaf: Dice, edge: str, named: bool) -> list[bytes]:
    month = leaf.below(len(d.months)) if edge != "long" else d.long
    year = _year(d, leaf, edge)
    last = d.months[month][1]
    day = leaf.pick((1, last)) if leaf.chance(0.25) else leaf.between(1, last)
    return [b"%d" % day, _name(d, leaf, month, named), b"%d" % year]


def _wrong(d: CalgridDialect, dice: Dice, stratum: str) -> Leaves:
    """One thing is wrong, in one way."""
    if stratum == "wrong value":
        return dice.pick(WRONG_VALUES)(d, dice)
    return dice.pick(WRONG_NAMES)(d, dice)


def _year_text(leaf: Dice) -> bytes:
    return b"%d" % leaf.between(1, 9998)


def _bad_day(d: CalgridDialect, dice: Dice) -> Leaves:
    option, month = dice.pick((b"-d", b"-q")), dice.below(len(d.months))
    last, far = d.months[month][1] + 1, dice.chance(0.5)

    def leaves(leaf: Dice) -> ProgramCase:
        day = leaf.pick((b"0", b"%d" % (last + leaf.between(1, 60)))) if far else b"%d" % (last + (month == d.long))
        return ProgramCase((option, day, b"%d" % (month + 1), _year_text(leaf)))

    return leaves


def _shared(d: CalgridDialect, leaf: Dice) -> bytes:
    """The beginning of more than one month's name, or of none."""
    names = [name.lower() for name, _ in d.months]
    several = [n for name in names for k in (1, 2, 3) if sum(x.startswith(n := name[:k]) for x in names) > 1]
    return leaf.pick(several or ["zz"]).encode()


WRONG_VALUES: tuple[Callable[[CalgridDialect, Dice], Leaves], ...] = (
    lambda d, dice: lambda leaf: ProgramCase((b"%d" % (len(d.months) + leaf.between(1, 80)), _year_text(leaf))),
    lambda d, dice: lambda leaf: ProgramCase((b"%d" % leaf.between(1, 8), b"%d" % leaf.between(10000, 99999))),
    lambda d, dice: (
        lambda leaf: ProgramCase(
            (b"-y", leaf.pick((b"0", b"x%d" % leaf.below(99), b"%d" % leaf.between(10**4, 10**6))))
        )
    ),
    _bad_day,
)
WRONG_NAMES: tuple[Callable[[CalgridDialect, Dice], Leaves], ...] = (
    lambda d, dice: (
        lambda leaf: ProgramCase(
            (_name(d, leaf, leaf.below(len(d.months)), True) + leaf.pick((b"x", b"zz")), _year_text(leaf))
        )
    ),
    lambda d, dice: (
        lambda leaf: ProgramCase(
            (b"-s", leaf.pick((b"zz", b"xa", b"yy")), b"%d" % leaf.between(1, 8), _year_text(leaf))
        )
    ),
    lambda d, dice: (
        lambda leaf: ProgramCase(
            (leaf.pick((b"-x", b"-z", b"--help", b"-ww")), b"%d" % leaf.between(1, 8), _year_text(leaf))
        )
    ),
    lambda d, dice: lambda leaf: ProgramCase((b"%d" % leaf.between(1, 8), _year_text(leaf), b"%d" % leaf.below(100))),
    lambda d, dice: (
        lambda leaf: ProgramCase((b"-n", b"%d" % leaf.between(3, 99), b"%d" % leaf.between(1, 8), _year_text(leaf)))
    ),
    lambda d, dice: lambda leaf: ProgramCase((_shared(d, leaf), _year_text(leaf))),
)
