"""The reference: what calgrid prints, in any dialect. Referee only."""

from __future__ import annotations

from toprope_tasks.mirror.calgrid.dialect import CalgridDialect
from toprope_tasks.mirror.packing import ProgramAnswer, ProgramCase

NAME = "calgrid"
LAST = 9999  # year
MOST = 2  # months at once
USAGE = (
    "usage: calgrid [-j] [-w] [-s DAY] [-d DAY] [-n COUNT] MONTH YEAR | -y YEAR | -q DAY MONTH YEAR | -t DATE DATE\n"
)


class Wrong(Exception):
    """An invalid argument: its kind and the word itself."""


def run(d: CalgridDialect, case: ProgramCase) -> ProgramAnswer:
    """The answer to one invocation; a file operand is not among the things it takes."""
    try:
        return ProgramAnswer(_run(d, [a.decode("latin-1") for a in case.argv]).encode("latin-1"), b"", 0)
    except Wrong as wrong:
        kind, word = wrong.args
        code = {"one": 1, "two": 2, "kind": d.codes_of[kind]}[d.codes]
        return ProgramAnswer(b"", _message(d, kind, word).encode("latin-1"), code)


def _message(d: CalgridDialect, kind: str, word: str) -> str:
    what = d.words[kind]
    return {
        "name": f"{NAME}: {what}\n",
        "value": f"{NAME}: {what}: {word}\n",
        "mark": f"? {what}\n",
        "usage": f"{NAME}: {what}\n{USAGE}",
    }[d.message]


def _run(d: CalgridDialect, words: list[str]) -> str:
    flags, values, rest = _options(words)
    if "-q" in flags:
        return _weekday(d, *_date(d, rest)) + "\n"
    if "-t" in flags:
        if len(rest) != 6:
            raise Wrong("option", rest[-1] if rest else "-t")
        return f"{_number_of(d, *_date(d, rest[3:])) - _number_of(d, *_date(d, rest[:3]))}\n"
    if "-y" in flags:
        return _year_list(d, _year(_only(rest, 1)[0]))
    month, year = _month(d, _only(rest, 2)[0]), _year(rest[1])
    start = _day_name(d, values["-s"]) if "-s" in values else d.start
    count = _count(values.get("-n", "1"))
    marked = _day_of(d, values["-d"], month, year) if "-d" in values else 0
    blocks = []
    for _ in range(count):
        blocks.append(_grid(d, month, year, start, marked, "-j" in flags, "-w" in flags))
        month, year = (month + 1, year) if month + 1 < len(d.months) else (0, year + 1)
        marked = 0
    return "\n".join(blocks)


def _options(words: list[str]) -> tuple[set[str], dict[str, str], list[str]]:
    flags: set[str] = set()
    values: dict[str, str] = {}
    rest = list(words)
    while rest and rest[0].startswith("-"):
        word = rest.pop(0)
        if word in ("-j", "-w", "-y", "-q", "-t"):
            flags.add(word)
        elif word in ("-s", "-d", "-n") and rest:
            values[word] = rest.pop(0)
        else:
            raise Wrong("option", word)
    return flags, values, rest


def _only(rest: list[str], n: int) -> list[str]:
    if len(rest) != n:
        raise Wrong("option", rest[-1] if rest else "")
    return rest


# ---------------------------------------------------------------- arguments


def _number(word: str, low: int, high: int, kind: str) -> int:
    if not (word.isascii() and word.isdigit() and len(word) < 10 and low <= int(word) <= high):
        raise Wrong(kind, word)
    return int(word)


def _year(word: str) -> int:
    return _number(word, 1, LAST, "year")


def _count(word: str) -> int:
    return _number(word, 1, MOST, "option")


def _month(d: CalgridDialect, word: str) -> int:
    """From 0: by number, or by the beginning of its name in any case."""
    if word[:1].isalpha():
        return _named(word, [name for name, _ in d.months], "month")
    return _number(word, 1, len(d.months), "month") - 1


def _day_name(d: CalgridDialect, word: str) -> int:
    return _named(word, list(d.days), "day")


def _named(word: str, names: list[str], kind: str) -> int:
    fits = [i for i, name in enumerate(names) if name.lower().startswith(word.lower())]
    if not fits:
        raise Wrong(kind, word)
    if len(fits) > 1:
        raise Wrong("name", word)
    return fits[0]


def _day_of(d: CalgridDialect, word: str, month: int, year: int) -> int:
    return _number(word, 1, _length(d, month, year), "day")


def _date(d: CalgridDialect, words: list[str]) -> tuple[int, int, int]:
    if len(words) != 3:
        raise Wrong("option", words[-1] if words else "")
    month, year = _month(d, words[1]), _year(words[2])
    return _day_of(d, words[0], month, year), month, year


# ---------------------------------------------------------------- the calendar


def _leap(d: CalgridDialect, year: int) -> bool:
    return _leaps(d, year) > _leaps(d, year - 1)


def _leaps(d: CalgridDialect, year: int) -> int:
    """Leap years from 1 to this one."""
    a, b, c = d.cycle
    return year // a - (year // b if d.leap != "every" else 0) + (year // c if d.leap == "unless" else 0)


def _length(d: CalgridDialect, month: int, year: int) -> int:
    return d.months[month][1] + (month == d.long and _leap(d, year))


def _number_of(d: CalgridDialect, day: int, month: int, year: int) -> int:
    """Days since the first day of year 1."""
    before = (year - 1) * sum(length for _, length in d.months) + _leaps(d, year - 1)
    return before + _in_year(d, day, month, year) - 1


def _in_year(d: CalgridDialect, day: int, month: int, year: int) -> int:
    return sum(_length(d, m, year) for m in range(month)) + day


def _weekday(d: CalgridDialect, day: int, month: int, year: int) -> str:
    return d.days[(_number_of(d, day, month, year) + d.epoch) % len(d.days)]


# ---------------------------------------------------------------- layout


def _grid(d: CalgridDialect, month: int, year: int, start: int, marked: int, in_year: bool, weeks: bool) -> str:
    size, length = len(d.days), _length(d, month, year)
    first = (_number_of(d, 1, month, year) + d.epoch - start) % size
    width = max(3 if in_year else 2, d.head)
    offset = _in_year(d, 0, month, year) if in_year else 0
    cells = [d.blank * width] * first + [_cell(d, day + offset, width, day == marked) for day in range(1, length + 1)]
    longest = max(n for _, n in d.months) + 1
    rows = -(-len(cells) // size) if d.rows == "needed" else -(-(size - 1 + longest) // size)
    cells += [d.blank * width] * (rows * size - len(cells))
    head = d.gap.join(_aligned(d, d.days[(start + i) % size][: d.head], width) for i in range(size))
    lines = [d.gap.join(cells[i : i + size]) for i in range(0, len(cells), size)]
    numbers = [""] * (len(lines) + 1)
    if weeks:
        numbers = ["  ", *(f"{n:2d}" for n in _week_numbers(d, month, year, start, len(lines)))]
    body = [_beside(d, number, line) for number, line in zip(numbers, [head, *lines], strict=True)]
    title = _placed(d.place, _title(d, month, year), len(body[0]))
    return "".join((line.rstrip(" ") if d.trail == "strip" else line) + "\n" for line in [title, *body])


def _cell(d: CalgridDialect, number: int, width: int, marked: bool) -> str:
    if marked:
        return {"stars": "*", "hashes": "#", "blank": " "}[d.mark] * width
    return str(number).zfill(width) if d.align == "zero" else _aligned(d, str(number), width)


def _aligned(d: CalgridDialect, text: str, width: int) -> str:
    return text.ljust(width) if d.align == "left" else text.rjust(width)


def _beside(d: CalgridDialect, number: str, line: str) -> str:
    if not number:
        return line
    return f"{number} {line}" if d.side == "left" else f"{line} {number}"


def _week_numbers(d: CalgridDialect, month: int, year: int, start: int, rows: int) -> list[int]:
    """By row. first: week 1 holds the first day of the year; full: it is the first that lies in the year whole, 0 is
    before it; month: counted anew in each month."""
    if d.weeks == "month":
        return list(range(1, rows + 1))
    size = len(d.days)
    lead = (_number_of(d, 1, 0, year) + d.epoch - start) % size  # days of week 1 that belong to the year before
    week = (_in_year(d, 1, month, year) - 1 + lead) // size + 1
    if d.weeks == "full" and lead:
        week -= 1
    return [week + i for i in range(rows)]


def _title(d: CalgridDialect, month: int, year: int) -> str:
    name = d.months[month][0]
    name = {"given": name, "upper": name.upper(), "lower": name.lower()}[d.letters]
    return {
        "month year": f"{name} {year}",
        "year month": f"{year} {name}",
        "month, year": f"{name}, {year}",
        "number": f"{year}-{month + 1:02d} {name}",
    }[d.title]


def _placed(place: str, text: str, width: int) -> str:
    """Centred text leans to the left."""
    room = max(width - len(text), 0)
    left = {"left": 0, "centre": room // 2, "right": room}[place]
    return " " * left + text + " " * (room - left)


def _year_list(d: CalgridDialect, year: int) -> str:
    """One line a month: its number, its length, the day it begins with, its name."""
    lines = []
    for month, (name, _) in enumerate(d.months):
        lines.append(f"{month + 1:2d} {_length(d, month, year)} {_weekday(d, 1, month, year)[:3]} {name}\n")
    return "".join(lines)
