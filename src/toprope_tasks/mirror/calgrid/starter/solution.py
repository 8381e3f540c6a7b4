"""A sketch of calgrid with open questions, each a parameter. With none: what cal would do.

leap     which leap years there are: every a-th; except every b-th; unless it is a c-th
epoch    the day (from 0) of the first day of year 1; start: the day a row begins with
head     letters of a day's name; align: right, left or zero-padded; gap, blank: between cells, and of empty ones
title    its order; place: left, centre, right; letters: given, upper, lower
trail    spaces at the end of a line: keep or strip; rows: as many as needed, or always the same
weeks    counted so that week 1 holds the first day, or is the first full one, or anew each month; side: left, right
mark     of a day: stars, hashes, blank; codes: exit code one, two, by kind; message: its form

Not done yet: months by name, several months, days between dates.
"""

from words import WORDS

DEFAULTS = {
    "leap": "unless", "epoch": 0, "start": 0, "head": 2, "align": "right", "gap": " ", "blank": " ",
    "title": "month year", "place": "centre", "letters": "given", "trail": "keep", "rows": "needed", "weeks": "first",
    "side": "left", "mark": "stars", "codes": "one", "message": "name",
}  # fmt: skip
DAYS, MONTHS = WORDS["days"], WORDS["months"]
SIZE = len(DAYS)


class Problem(Exception):
    pass


def main(argv, stdin, files, *, params=None):
    p = {**DEFAULTS, **(params or {})}
    try:
        return answer([a.decode() for a in argv], p).encode(), b"", 0
    except Problem as e:
        kind, value = e.args
        what = WORDS["wordings"][kind]
        said = {
            "name": f"calgrid: {what}\n",
            "value": f"calgrid: {what}: {value}\n",
            "mark": f"? {what}\n",
            "usage": f"calgrid: {what}\n{WORDS['usage']}",
        }[p["message"]]
        return b"", said.encode(), {"one": 1, "two": 2, "kind": WORDS["codes"][kind]}[p["codes"]]


def answer(rest, p):
    flags, values = set(), {}
    while rest and rest[0].startswith("-"):
        option = rest.pop(0)
        if option in ("-j", "-w", "-y", "-q"):
            flags.add(option)
        elif option in ("-s", "-d") and rest:
            values[option] = rest.pop(0)
        else:
            raise Problem("option", option)
    if "-y" in flags:
        return year_list(number(rest[0], 1, 9999, "year"), p)
    if "-q" in flags:
        day = rest.pop(0)
        month, year = number(rest[0], 1, len(MONTHS), "month") - 1, number(rest[1], 1, 9999, "year")
        day = number(day, 1, length(month, year, p), "day")
        return DAYS[(since(day, month, year, p) + p["epoch"]) % SIZE] + "\n"
    if len(rest) != 2:
        raise Problem("option", rest[-1] if rest else "")
    month, year = number(rest[0], 1, len(MONTHS), "month") - 1, number(rest[1], 1, 9999, "year")
    start = p["start"]
    if "-s" in values:
        start = weekday(values["-s"])
    marked = number(values["-d"], 1, length(month, year, p), "day") if "-d" in values else 0
    return grid(month, year, start, marked, flags, p)


def number(text, low, high, kind):
    if not text.isdigit() or not low <= int(text) <= high:
        raise Problem(kind, text)
    return int(text)


def weekday(text):
    fits = [i for i, name in enumerate(DAYS) if name.lower().startswith(text.lower())]
    if len(fits) != 1:
        raise Problem("name" if fits else "day", text)
    return fits[0]


def leaps(year, p):
    a, b, c = WORDS["cycle"]
    n = year // a
    if p["leap"] != "every":
        n -= year // b
    if p["leap"] == "unless":
        n += year // c
    return n


def length(month, year, p):
    extra = month == WORDS["long"] and leaps(year, p) > leaps(year - 1, p)
    return MONTHS[month][1] + extra


def in_year(day, month, year, p):
    return sum(length(m, year, p) for m in range(month)) + day


def since(day, month, year, p):
    return (year - 1) * sum(n for _, n in MONTHS) + leaps(year - 1, p) + in_year(day, month, year, p) - 1


def year_list(year, p):
    lines = []
    for month, (name, _) in enumerate(MONTHS):
        first = DAYS[(since(1, month, year, p) + p["epoch"]) % SIZE]
        lines.append(f"{month + 1:2d} {length(month, year, p)} {first[:3]} {name}\n")
    return "".join(lines)


def grid(month, year, start, marked, flags, p):
    width = max(3 if "-j" in flags else 2, p["head"])
    lead = (since(1, month, year, p) + p["epoch"] - start) % SIZE
    offset = in_year(0, month, year, p) if "-j" in flags else 0
    cells = [p["blank"] * width] * lead
    for day in range(1, length(month, year, p) + 1):
        if day == marked:
            cells.append({"stars": "*", "hashes": "#", "blank": " "}[p["mark"]] * width)
        else:
            cells.append(aligned(str(day + offset), width, p["align"]))
    rows = -(-len(cells) // SIZE)
    if p["rows"] == "same":
        rows = -(-(SIZE + max(n for _, n in MONTHS)) // SIZE)
    cells += [p["blank"] * width] * (rows * SIZE - len(cells))
    align = "right" if p["align"] == "zero" else p["align"]
    head = p["gap"].join(aligned(DAYS[(start + i) % SIZE][: p["head"]], width, align) for i in range(SIZE))
    lines = [head] + [p["gap"].join(cells[i : i + SIZE]) for i in range(0, len(cells), SIZE)]
    if "-w" in flags:
        numbers = ["  "] + [f"{n:2d}" for n in week_numbers(month, year, start, rows, p)]
        lines = [f"{n} {x}" if p["side"] == "left" else f"{x} {n}" for n, x in zip(numbers, lines, strict=True)]
    text = [placed(title(month, year, p), len(lines[0]), p["place"]), *lines]
    if p["trail"] == "strip":
        text = [line.rstrip(" ") for line in text]
    return "\n".join(text) + "\n"


def aligned(text, width, align):
    return {"left": text.ljust, "right": text.rjust, "zero": text.zfill}[align](width)


def week_numbers(month, year, start, rows, p):
    if p["weeks"] == "month":
        return range(1, rows + 1)
    lead = (since(1, 0, year, p) + p["epoch"] - start) % SIZE
    first = (in_year(1, month, year, p) - 1 + lead) // SIZE + 1
    if p["weeks"] == "full" and lead:
        first -= 1
    return range(first, first + rows)


def title(month, year, p):
    name = MONTHS[month][0]
    name = {"given": name, "upper": name.upper(), "lower": name.lower()}[p["letters"]]
    forms = {
        "month year": f"{name} {year}",
        "year month": f"{year} {name}",
        "month, year": f"{name}, {year}",
        "number": f"{year}-{month + 1:02d} {name}",
    }
    return forms[p["title"]]


def placed(text, width, place):
    room = max(width - len(text), 0)
    left = {"left": 0, "centre": room // 2, "right": room}[place]
    return " " * left + text + " " * (room - left)
