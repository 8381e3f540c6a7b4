"""The manual page of a dialect: correct but, like most manual pages, not complete."""

from __future__ import annotations

from toprope_tasks.mirror.packing import ProgramCase
from toprope_tasks.mirror.rpn.dialect import COMMANDS, KINDS, RpnDialect

ROUNDING = {
    "zero": "cut, towards zero",
    "floor": "rounded down, towards minus infinity",
    "away": "rounded away from zero, however little is left over",
    "half away": "rounded to the nearest; a half goes away from zero",
    "half even": "rounded to the nearest; a half goes to the even neighbour",
}
REMAINDER = {
    "dividend": "has the sign of the number that is divided",
    "divisor": "has the sign of the number it is divided by",
    "positive": "is never negative",
}
MINUS = {
    "before": "with a minus before the first digit",
    "after": "with a minus after the last digit",
    "paren": "in parentheses, without a sign",
    "sign": "with the sign that is typed, before the first digit",
}
DUMP = {
    "lines": "one to a line",
    "spaced": "on one line, with a space between",
    "numbered": "one to a line as `1: NUMBER`",
}
AFTER = {
    "stop": "An error ends the program; later words are not read.",
    "keep": "After an error the stack is as it was before the word, and the program goes on with the next one.",
    "lose": "After an error the program goes on with the next word; what the word had taken from the stack is gone.",
}
CODES = {
    "one": "The exit code is 1 if there was an error.",
    "kind": "The exit code is that of the last error, from the table.",
    "count": "The exit code is the number of errors, 99 at most.",
}
MESSAGE = {
    "name": "`rpn: MESSAGE`",
    "word": "`rpn: word N: MESSAGE`, where words are counted from 1 over all programs",
    "token": "`WORD: MESSAGE`, with the word that went wrong",
    "mark": "`? MESSAGE`",
}
JOINED = {
    "fresh": "Each begins with an empty stack; registers stay.",
    "one": "The stack stays from one to the next.",
}
DOES = {
    "print": "print the top number{takes}",
    "dump": "print the whole stack, {first} first, {dump}",
    "dup": "push the top number once more",
    "swap": "exchange the two top numbers",
    "drop": "throw the top number away",
    "depth": "push how many numbers there are",
    "clear": "empty the stack",
    "store": "with the letter of a register right behind it: take the top number and store it there",
    "load": "with the letter of a register right behind it: push what is stored there; {unset}",
    "sum": "replace the whole stack by its sum",
}


def docs(d: RpnDialect) -> str:
    """All sections but the examples."""
    fill = {
        "takes": ", which stays" if d.pop == "keeps" else " and take it off the stack",
        "first": d.first,
        "dump": DUMP[d.dump],
        "unset": "an empty register holds 0" if d.unset == "zero" else "an empty register is an error",
    }
    commands = "\n".join(f"| `{d.letters[name]}` | {DOES[name].format(**fill)} |" for name in COMMANDS)
    errors = "\n".join(f"| {kind} | {d.words[kind]} | {d.codes_of[kind]} |" for kind in KINDS)
    first, second = ("under", "top") if d.order == "under" else ("top", "under")
    groups = f"Groups of three digits are separated by `{d.group}`." if d.group else ""
    names = {"under": "the number below the top", "top": "the top number"}
    return f"""# rpn: a stack of numbers

    rpn [-k DECIMALS] [-e PROGRAM]... [FILE]...

A program is words with white space between. It is read from every -e and FILE in turn, or from standard input
without any. {JOINED[d.joined]}

## Numbers

A number is digits with at most one point; a negative one is typed with `{d.sign}` before it. All numbers have {d.scale}
decimals, or as many as `-k` says (one digit).
What has more, typed or computed, is {ROUNDING[d.rounding]}.

Numbers are printed with {"all their decimals" if d.zeros == "keep" else "no zeros at the end of their decimals"};
a number below one with decimals is printed {"with a zero" if d.lead == "zero" else "without a zero"} before its point.
Negative numbers are printed {MINUS[d.minus]}. {groups}

## Arithmetic

`+ - * / % ^` take two numbers and push one. The left operand is {names[first]}, the right one {names[second]}.
A remainder {REMAINDER[d.remainder]}. Exponents are whole, 64 at most in size; a power is rounded
{"at every multiplication" if d.power == "each" else "once, at the end"}; one with a negative exponent is 1 divided by
that with the positive one. Numbers of more than 60 digits are too large. `v` takes a number and pushes its square
root, cut.

## Commands

| word | does |
|---|---|
{commands}

## Errors

| kind | message | code |
|---|---|---|
{errors}

Errors go to standard error as {MESSAGE[d.message]}. {AFTER[d.after]}
{CODES[d.codes]} Wrong options and missing files are reported at once, with exit code 2.
"""


def examples(d: RpnDialect) -> list[ProgramCase]:
    """Six sessions."""
    c, s = d.letters, d.sign
    programs = [
        f"2 3 + {c['print']}",
        f"7 {s}2 / {c['print']}",
        f"{s}7.5 2 % {c['print']}",
        f"1234567 0.25 * {c['print']} {c['dump']}",
        f"1 {c['store']}a {c['load']}a {c['load']}b {c['dump']}",
        f"{'1 0' if d.order == 'under' else '0 1'} / {c['print']}",
    ]
    return [ProgramCase((b"-e", p.encode())) for p in programs]
