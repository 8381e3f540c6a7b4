"""The manual page of a dialect: correct but, like most manual pages, not complete."""

from __future__ import annotations

from toprope_tasks.mirror.calgrid.dialect import KINDS, CalgridDialect
from toprope_tasks.mirror.calgrid.reference import USAGE
from toprope_tasks.mirror.packing import ProgramCase

WEEKS = {
    "first": "Week 1 is the one that holds the first day of the year",
    "full": "Week 1 is the first that lies in the year whole, and what comes before it is week 0",
    "month": "Weeks are counted anew from 1 in every month",
}
MARK = {"stars": "replaced by stars", "hashes": "replaced by `#`", "blank": "left out (spaces)"}
CODES = {"one": "The exit code is 1.", "two": "The exit code is 2.", "kind": "The exit code is that of the table."}
MESSAGE = {
    "name": "`calgrid: MESSAGE`",
    "value": "`calgrid: MESSAGE: ARGUMENT`",
    "mark": "`? MESSAGE`",
    "usage": "`calgrid: MESSAGE`, and the usage line after it",
}
ALIGN = {"right": "at the right of their cells", "left": "at the left of their cells", "zero": "with zeros before them"}
LETTERS = {"given": "as in the table", "upper": "in capitals", "lower": "in small letters"}


def docs(d: CalgridDialect) -> str:
    """All sections but the examples."""
    a, b, c = d.cycle
    rule = f"every {a}th year"
    rule += f", but not every {b}th" if d.leap != "every" else ""
    rule += f", yet every {c}th" if d.leap == "unless" else ""
    months = "\n".join(f"| {i} | {name} | {n} |" for i, (name, n) in enumerate(d.months, 1))
    errors = "\n".join(f"| {kind} | {d.words[kind]} | {d.codes_of[kind]} |" for kind in KINDS)
    order = {"number": "YEAR-MONTH NAME with two digits of the month"}.get(d.title, d.title)
    return f"""# calgrid: months on a grid

    {USAGE.removeprefix("usage: ").strip()}

## The calendar

Weeks have {len(d.days)} days: {", ".join(d.days)}. The first day of year 1 is a {d.days[d.epoch]}. Years go to 9999.
In leap years, {rule}, {d.months[d.long][0]} has one day more.

| month | name | days |
|---|---|---|
{months}

A month is given by its number or by the beginning of its name, in large or small letters; so is a day of the week.

## A month

Title, names of the days, one row a week. Title: {order}, the name {LETTERS[d.letters]}, set {d.place} over the grid.
A row begins with {d.days[d.start]}, or with the day that `-s` names. Days have {d.head} letters; numbers stand
{ALIGN[d.align]}. Between cells stands `{d.gap}`; a cell without a day is filled with `{d.blank}`.
There are {"as many rows as needed" if d.rows == "needed" else "always as many rows as the longest month can need"}.
Spaces at the end of a line are {"kept" if d.trail == "keep" else "cut off"}.

- `-j` numbers the days within the year, in cells of three.
- `-w` shows the number of the week to the {d.side}. {WEEKS[d.weeks]}.
- `-d DAY`: that day's number is {MARK[d.mark]}.
- `-n COUNT`: so many months (2 at most), with an empty line between.

## Other things

- `-y YEAR`: a line for each month: number, days, the day of the week it begins with (three letters), name.
- `-q DAY MONTH YEAR`: the day of the week.
- `-t DATE DATE`, each a day, a month and a year: days from the first to the second.

## Errors

| kind | message | code |
|---|---|---|
{errors}

Nothing is printed but {MESSAGE[d.message]} on standard error. {CODES[d.codes]}
"""


def examples(d: CalgridDialect) -> list[ProgramCase]:
    """Seven sessions."""
    lines = ["1 1", "-w 3 100", "-j 2 7", "-q 1 1 1", "-t 1 1 1 1 1 2", f"-y {d.cycle[0]}", "99 5"]
    return [ProgramCase(tuple(word.encode() for word in line.split())) for line in lines]
