"""The reference: what rpn does, in any dialect. Referee only.

Numbers are integers that count units of 10^-scale, so everything is exact and every rounding is the dialect's own.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from toprope_tasks.mirror.packing import ProgramAnswer, ProgramCase
from toprope_tasks.mirror.rpn.dialect import RpnDialect

NAME = "rpn"
MOST, SIZE = 64, 60  # largest exponent, most digits before the point
USAGE = b"usage: rpn [-k DECIMALS] [-e PROGRAM]... [FILE]...\n"


class Trouble(Exception):
    """An error of the kind it is made with."""


def run(d: RpnDialect, case: ProgramCase) -> ProgramAnswer:
    """The answer to one invocation."""
    programs: list[str] = []
    scale, files, rest = d.scale, dict(case.files), [a.decode("latin-1") for a in case.argv]
    while rest:
        word = rest.pop(0)
        if word in ("-k", "-e") and rest:
            value = rest.pop(0)
            if word == "-k" and not (value.isascii() and value.isdigit() and len(value) == 1):
                return ProgramAnswer(b"", USAGE, 2)
            scale, programs = (int(value), programs) if word == "-k" else (scale, [*programs, value])
        elif word.startswith("-"):
            return ProgramAnswer(b"", USAGE, 2)
        elif word.encode("latin-1") not in files:
            return ProgramAnswer(b"", f"{NAME}: {word}: no such file\n".encode("latin-1"), 2)
        else:
            programs.append(files[word.encode("latin-1")].decode("latin-1"))
    machine = Machine(d, scale)
    for text in programs or [case.stdin.decode("latin-1")]:
        if not machine.program(text):
            break
        if d.joined == "fresh":
            machine.stack.clear()
    return machine.answer()


class Machine:
    """Stack, registers, and what was said so far."""

    def __init__(self, d: RpnDialect, scale: int) -> None:
        self.d, self.scale = d, scale
        self.unit: int = 10**scale
        self.stack: list[int] = []
        self.registers: dict[str, int] = {}
        self.out: list[str] = []
        self.err: list[str] = []
        self.kinds: list[str] = []
        self.commands = {letter: name for name, letter in d.letters.items()}
        self.place = 0

    def program(self, text: str) -> bool:
        """Every word in turn. False: an error has stopped it."""
        for word in text.split():
            self.place += 1
            before = list(self.stack)
            try:
                self.word(word)
            except Trouble as trouble:
                self.complain(str(trouble), word)
                if self.d.after == "stop":
                    return False
                if self.d.after == "keep":
                    self.stack = before
        return True

    def word(self, word: str) -> None:
        number = self.number(word)
        if number is not None:
            self.stack.append(number)
        elif word in ("+", "-", "*", "/", "%", "^"):
            top = self.take()
            under = self.take()
            a, b = (under, top) if self.d.order == "under" else (top, under)
            self.stack.append(self.sized(self.binary(word, a, b)))
        elif word == "v":
            self.stack.append(self.root(self.take()))
        elif len(word) == 2 and word[1].isalpha() and self.commands.get(word[0]) in ("store", "load"):
            self.register(self.commands[word[0]], word[1])
        elif self.commands.get(word, "store") not in ("store", "load"):
            getattr(self, "do_" + self.commands[word])()
        else:
            raise Trouble("unknown")

    def number(self, word: str) -> int | None:
        """A number as it is typed, rounded to the scale; None for another word."""
        digits = word.removeprefix(self.d.sign)
        whole, _, part = digits.partition(".")
        if not (whole + part).isascii() or not (whole + part).isdigit() or digits.count(".") > 1:
            return None
        if len(digits) > SIZE:
            raise Trouble("large")
        size = int(whole + part) * (-1 if digits != word else 1)
        return rounded(size * self.unit, 10 ** len(part), self.d.rounding)

    def take(self) -> int:
        if not self.stack:
            raise Trouble("short")
        return self.stack.pop()

    def sized(self, number: int) -> int:
        if abs(number) >= 10**SIZE * self.unit:
            raise Trouble("large")
        return number

    # ------------------------------------------------------------ arithmetic

    def binary(self, op: str, a: int, b: int) -> int:
        if op == "+":
            return a + b
        if op == "-":
            return a - b
        if op == "*":
            return rounded(a * b, self.unit, self.d.rounding)
        if op == "^":
            return self.power(a, b)
        if b == 0:
            raise Trouble("zero")
        if op == "/":
            return rounded(a * self.unit, b, self.d.rounding)
        if self.d.remainder == "dividend":
            return a - b * rounded(a, b, "zero")
        return a % b if self.d.remainder == "divisor" else a % abs(b)

    def power(self, a: int, b: int) -> int:
        if b % self.unit:
            raise Trouble("whole")
        n = abs(b // self.unit)
        if n > MOST:
            raise Trouble("large")
        result = self.unit
        if self.d.power == "each":
            for _ in range(n):
                result = rounded(result * a, self.unit, self.d.rounding)
        elif n:
            result = rounded(a**n, self.unit ** (n - 1), self.d.rounding)
        if b >= 0:
            return result
        if result == 0:
            raise Trouble("zero")
        return rounded(self.unit * self.unit, result, self.d.rounding)

    def root(self, a: int) -> int:
        """Always cut, whatever the rounding."""
        if a < 0:
            raise Trouble("domain")
        return math.isqrt(a * self.unit)

    # ------------------------------------------------------------ commands

    def register(self, name: str, letter: str) -> None:
        if name == "store":
            self.registers[letter] = self.take()
        elif letter in self.registers or self.d.unset == "zero":
            self.stack.append(self.registers.get(letter, 0))
        else:
            raise Trouble("unset")

    def do_print(self) -> None:
        number = self.take()
        self.out.append(self.shown(number) + "\n")
        if self.d.pop == "keeps":
            self.stack.append(number)

    def do_dump(self) -> None:
        numbers = [self.shown(x) for x in (self.stack if self.d.first == "bottom" else self.stack[::-1])]
        if self.d.dump == "spaced":
            self.out.append(" ".join(numbers) + "\n")
        elif self.d.dump == "numbered":
            self.out += [f"{i}: {x}\n" for i, x in enumerate(numbers, 1)]
        else:
            self.out += [x + "\n" for x in numbers]

    def do_dup(self) -> None:
        number = self.take()
        self.stack += [number, number]

    def do_swap(self) -> None:
        top, under = self.take(), self.take()
        self.stack += [top, under]

    def do_drop(self) -> None:
        self.take()

    def do_depth(self) -> None:
        self.stack.append(len(self.stack) * self.unit)

    def do_clear(self) -> None:
        self.stack.clear()

    def do_sum(self) -> None:
        """The whole stack becomes its sum; an empty one becomes 0."""
        self.stack = [sum(self.stack)]

    # ------------------------------------------------------------ words

    def shown(self, number: int) -> str:
        d = self.d
        whole, part = divmod(abs(number), self.unit)
        decimals = str(part).zfill(self.scale) if self.scale else ""
        if d.zeros == "strip":
            decimals = decimals.rstrip("0")
        digits = d.group.join(_threes(str(whole)))
        if whole == 0 and decimals and d.lead == "bare":
            digits = ""
        text = digits + ("." + decimals if decimals else "")
        if number >= 0:
            return text
        return {"before": f"-{text}", "after": f"{text}-", "paren": f"({text})", "sign": d.sign + text}[d.minus]

    def complain(self, kind: str, word: str) -> None:
        what = self.d.words[kind]
        self.kinds.append(kind)
        self.err.append(
            {
                "name": f"{NAME}: {what}\n",
                "word": f"{NAME}: word {self.place}: {what}\n",
                "token": f"{word}: {what}\n",
                "mark": f"? {what}\n",
            }[self.d.message]
        )

    def answer(self) -> ProgramAnswer:
        code = 0
        if self.kinds:
            code = {"one": 1, "kind": self.d.codes_of[self.kinds[-1]], "count": min(len(self.kinds), 99)}[self.d.codes]
        return ProgramAnswer("".join(self.out).encode("latin-1"), "".join(self.err).encode("latin-1"), code)


def rounded(n: int, m: int, mode: str) -> int:
    """n / m as a whole number."""
    n, m = (-n, -m) if m < 0 else (n, m)
    q, r = divmod(n, m)
    if r == 0 or mode == "floor":
        return q
    if mode == "zero":
        return q + (n < 0)
    if mode == "away":
        return q + (n > 0)
    if 2 * r == m:
        return q + (q % 2 if mode == "half even" else int(n > 0))
    return q + (2 * r > m)


def _threes(digits: str) -> Iterator[str]:
    start = len(digits) % 3
    if start:
        yield digits[:start]
    yield from (digits[i : i + 3] for i in range(start, len(digits), 3))
