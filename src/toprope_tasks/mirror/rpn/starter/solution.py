"""A sketch of rpn with open questions, each a parameter. With none: what dc would do.

scale      decimals of every number
rounding   zero, floor, away, half away, half even
remainder  has the sign of the dividend, of the divisor, or is positive
power      rounded at each multiplication, or at the end
zeros      at the end of decimals: keep or strip; lead: ".5" is bare, "0.5" has its zero
minus      before, after, paren (...), or the sign that is typed; group: between groups of three digits
order      a b - is a - b (under) or b - a (top)
first      what a dump begins with; dump: lines, spaced or numbered; pop: whether print takes the number
after      an error: stop, keep what was there, lose the operands
codes      exit code: one, by kind, or how many errors; message: its form; unset: what an empty register is

Not done yet: more than one program, files, the sum of the stack.
"""

from math import isqrt

from words import WORDS

DEFAULTS = {
    "scale": 0, "rounding": "zero", "remainder": "dividend", "power": "each", "zeros": "keep", "lead": "bare",
    "minus": "before", "group": "", "order": "under", "first": "top", "dump": "lines", "pop": "keeps", "after": "keep",
    "codes": "one", "message": "name", "unset": "error",
}  # fmt: skip
LETTERS = {letter: name for name, letter in WORDS["letters"].items()}
SIGN = WORDS["sign"]


class Problem(Exception):
    pass


def main(argv, stdin, files, *, params=None):
    p = {**DEFAULTS, **(params or {})}
    text, rest = stdin.decode(), [a.decode() for a in argv]
    while len(rest) > 1:
        option, value = rest.pop(0), rest.pop(0)
        if option == "-k":
            p["scale"] = int(value)
        elif option == "-e":
            text = value
    out, errors = [], []
    stack, registers = [], {}
    for place, word in enumerate(text.split(), 1):
        kept = list(stack)
        try:
            step(word, stack, registers, out, p)
        except Problem as e:
            kind = str(e)
            errors.append((kind, message(kind, place, word, p)))
            if p["after"] == "stop":
                break
            if p["after"] == "keep":
                stack[:] = kept
    code = 0
    if errors:
        code = {"one": 1, "kind": WORDS["codes"][errors[-1][0]], "count": len(errors)}[p["codes"]]
    return "".join(out).encode(), "".join(said for _, said in errors).encode(), code


def message(kind, place, word, p):
    what = WORDS["wordings"][kind]
    start = {"name": "rpn: ", "word": f"rpn: word {place}: ", "token": f"{word}: ", "mark": "? "}
    return start[p["message"]] + what + "\n"


def step(word, stack, registers, out, p):
    unit = 10 ** p["scale"]
    digits = word.removeprefix(SIGN)
    whole, _, part = digits.partition(".")
    if (whole + part).isdigit():
        size = int(whole + part) * (-1 if word != digits else 1)
        stack.append(divide(size * unit, 10 ** len(part), p["rounding"]))
    elif word in ("+", "-", "*", "/", "%", "^"):
        b = take(stack)
        a = take(stack)
        if p["order"] == "top":
            a, b = b, a
        stack.append(binary(word, a, b, unit, p))
    elif word == "v":
        a = take(stack)
        if a < 0:
            raise Problem("domain")
        stack.append(isqrt(a * unit))
    elif len(word) == 2 and LETTERS.get(word[0]) == "store":
        registers[word[1]] = take(stack)
    elif len(word) == 2 and LETTERS.get(word[0]) == "load":
        if word[1] not in registers and p["unset"] == "error":
            raise Problem("unset")
        stack.append(registers.get(word[1], 0))
    else:
        command(LETTERS.get(word), stack, out, unit, p)


def command(name, stack, out, unit, p):
    if name == "print":
        a = take(stack)
        out.append(shown(a, p) + "\n")
        if p["pop"] == "keeps":
            stack.append(a)
    elif name == "dump":
        numbers = [shown(a, p) for a in (stack if p["first"] == "bottom" else stack[::-1])]
        if p["dump"] == "spaced":
            out.append(" ".join(numbers) + "\n")
        elif p["dump"] == "numbered":
            out.extend(f"{i}: {x}\n" for i, x in enumerate(numbers, 1))
        else:
            out.extend(x + "\n" for x in numbers)
    elif name == "dup":
        a = take(stack)
        stack.extend([a, a])
    elif name == "swap":
        a = take(stack)
        b = take(stack)
        stack.extend([a, b])
    elif name == "drop":
        take(stack)
    elif name == "depth":
        stack.append(len(stack) * unit)
    elif name == "clear":
        stack.clear()
    else:
        raise Problem("unknown")


def take(stack):
    if not stack:
        raise Problem("short")
    return stack.pop()


def binary(op, a, b, unit, p):
    if op == "+":
        return a + b
    if op == "-":
        return a - b
    if op == "*":
        return divide(a * b, unit, p["rounding"])
    if op == "^":
        return power(a, b, unit, p)
    if b == 0:
        raise Problem("zero")
    if op == "/":
        return divide(a * unit, b, p["rounding"])
    if p["remainder"] == "dividend":
        return a - b * divide(a, b, "zero")
    return a % b if p["remainder"] == "divisor" else a % abs(b)


def power(a, b, unit, p):
    if b % unit:
        raise Problem("whole")
    n, result = abs(b // unit), unit
    if n > 64:
        raise Problem("large")
    if p["power"] == "each":
        for _ in range(n):
            result = divide(result * a, unit, p["rounding"])
    elif n:
        result = divide(a**n, unit ** (n - 1), p["rounding"])
    if b >= 0:
        return result
    if result == 0:
        raise Problem("zero")
    return divide(unit * unit, result, p["rounding"])


def divide(n, m, rounding):
    if m < 0:
        n, m = -n, -m
    q, r = divmod(n, m)
    if r == 0 or rounding == "floor":
        return q
    if rounding == "zero":
        return q + (n < 0)
    if rounding == "away":
        return q + (n > 0)
    if 2 * r == m:
        return q + (q % 2 if rounding == "half even" else int(n > 0))
    return q + (2 * r > m)


def shown(number, p):
    whole, part = divmod(abs(number), 10 ** p["scale"])
    decimals = str(part).zfill(p["scale"]) if p["scale"] else ""
    if p["zeros"] == "strip":
        decimals = decimals.rstrip("0")
    text = f"{whole:,}".replace(",", p["group"])
    if whole == 0 and decimals and p["lead"] == "bare":
        text = ""
    if decimals:
        text += "." + decimals
    if number >= 0:
        return text
    if p["minus"] == "paren":
        return f"({text})"
    return text + "-" if p["minus"] == "after" else (SIGN if p["minus"] == "sign" else "-") + text
