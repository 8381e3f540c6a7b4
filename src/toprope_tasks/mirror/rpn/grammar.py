"""Cases of rpn: a template is a sequence of commands with places for numbers; leaves are the numbers. Referee only."""

from __future__ import annotations

from collections.abc import Callable

from toprope_tasks.mirror.dice import Dice
from toprope_tasks.mirror.packing import ProgramCase
from toprope_tasks.mirror.programs import Leaves
from toprope_tasks.mirror.rpn.dialect import RpnDialect

STRATA = (
    "arithmetic", "division", "remainder", "power", "root", "stack", "dump", "registers", "sum", "programs",
    "short", "trouble",
)  # fmt: skip
EDGES = ("0", "1", "-1", "0.5", "-0.5", "2", "10", "100", "999.5", "1000", "0.05", "-2.5", "12345.6789", "999999")
ARITHMETIC = ("+", "-", "*")


def template(d: RpnDialect, stratum: str, dice: Dice) -> Leaves:
    """Two to four phrases, most of them about the stratum, and how they are handed over."""
    phrases = [PHRASES[stratum](dice)]
    for _ in range(dice.between(1, 3)):
        phrases.append(PHRASES[stratum if dice.chance(0.5) else "arithmetic"](dice))
    how, decimals, one = dice.pick(("stdin", "stdin", "-e")), False, True
    if stratum == "programs":
        how, decimals, one = dice.pick(("-e", "-e", "file", "stdin")), dice.chance(0.6), False
    if stratum == "power" and d.order == "top":
        phrases = [[*phrase[1::-1], *phrase[2:]] for phrase in phrases]

    def leaves(leaf: Dice) -> ProgramCase:
        said = [" ".join(_word(d, word, leaf) for word in phrase) for phrase in phrases]
        texts = [" ".join(said).encode()] if one else [text.encode() for text in said]
        argv = [b"-k", str(leaf.below(7)).encode()] if decimals else []
        if how == "stdin":
            return ProgramCase(tuple(argv), b"\n".join(texts) + b"\n")
        if how == "file":
            names = [b"f%d" % i for i in range(len(texts))]
            return ProgramCase((*argv, *names), b"", tuple(zip(names, texts, strict=True)))
        return ProgramCase((*argv, *(x for text in texts for x in (b"-e", text))))

    return leaves


def _word(d: RpnDialect, word: str, leaf: Dice) -> str:
    """A place is filled, a command gets its letter."""
    if word in PLACES:
        text = PLACES[word](leaf)
        return text.replace("-", d.sign)
    name, _, register = word.partition(" ")
    return d.letters.get(name, name) + register


def _number(leaf: Dice) -> str:
    if leaf.chance(0.25):
        return leaf.pick(EDGES)
    return ("-" if leaf.chance(0.25) else "") + _positive(leaf)


def _positive(leaf: Dice) -> str:
    whole = leaf.below(10 ** leaf.between(1, 5))
    if leaf.chance(0.4):
        return str(whole)
    places = leaf.between(1, 4)
    return f"{whole}.{leaf.below(10**places):0{places}d}"


PLACES: dict[str, Callable[[Dice], str]] = {
    "N": _number,
    "P": _positive,
    "I": lambda leaf: str(leaf.between(-3, 6)),
    "S": lambda leaf: leaf.pick(EDGES[:8]) if leaf.chance(0.3) else f"{leaf.below(30)}.{leaf.below(100):02d}",
    "Z": lambda leaf: leaf.pick(("0", "0", "0.0", "-0")),
    "F": lambda leaf: f"{leaf.below(4)}.{leaf.between(1, 9)}",
    "M": lambda leaf: "-" + _positive(leaf),
    "?": lambda leaf: leaf.pick(("q1", "#", "3x", "1.2.3", "++", "@", "--", "x,y")),
}


def _arithmetic(dice: Dice) -> list[str]:
    words = ["N"]
    for _ in range(dice.between(1, 3)):
        words += ["N", dice.pick(ARITHMETIC)]
    return [*words, "print"]


def _stack(dice: Dice) -> list[str]:
    words = ["N"] * dice.between(2, 4)
    words += [dice.pick(("dup", "swap", "drop", "depth", "dup", "swap")) for _ in range(dice.between(1, 3))]
    return [*words, dice.pick(("print", "-", "dump")), "print", *(["clear"] if dice.chance(0.3) else [])]


def _registers(dice: Dice) -> list[str]:
    a, b = dice.pick("abcxyz"), dice.pick("abcxyz")
    words = ["N", f"store {a}", "N", f"load {a}", dice.pick(ARITHMETIC), "print"]
    return words + ([f"load {b}", "print"] if dice.chance(0.2) else [])


def _trouble(dice: Dice) -> list[str]:
    first = dice.pick(([], ["N"], ["N", "N"]))
    wrong = dice.pick(("N Z /", "N Z %", "Z N /", "M v", "N F ^", "F N ^", "?", "load_q"))
    return [
        *first,
        *(word.replace("_", " ") for word in wrong.split()),
        dice.pick(("print", "dump", "print")),
        "N",
        "print",
    ]


PHRASES: dict[str, Callable[[Dice], list[str]]] = {
    "arithmetic": _arithmetic,
    "division": lambda dice: ["N", "P", "/", *(["P", "/"] if dice.chance(0.4) else []), "print"],
    "remainder": lambda dice: ["N", "N", "%", *(["N", "+"] if dice.chance(0.3) else []), "print"],
    "power": lambda dice: ["S", "I", "^", *(["N", "+"] if dice.chance(0.4) else []), "print"],
    "root": lambda dice: ["P", "v", *(["N", dice.pick(ARITHMETIC)] if dice.chance(0.4) else []), "print"],
    "stack": _stack,
    "dump": lambda dice: [*["N"] * dice.between(0, 5), "dump", *(["clear"] if dice.chance(0.6) else [])],
    "registers": _registers,
    "sum": lambda dice: [*["N"] * dice.between(0, 4), "sum", dice.pick(("print", "dump"))],
    "programs": lambda dice: [*_arithmetic(dice), *(["dump"] if dice.chance(0.5) else [])],
    "short": lambda dice: [*(["N"] if dice.chance(0.6) else ["clear"]),
                           dice.pick((*ARITHMETIC, "/", "swap", "drop", "store a")), dice.pick(("print", "dump"))],
    "trouble": _trouble,
}  # fmt: skip
