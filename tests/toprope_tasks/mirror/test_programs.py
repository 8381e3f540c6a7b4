"""The references, against what can be known without them: exact fractions, the properties of a calendar, the manual."""

import importlib
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from studies.mirror.imitate import PROGRAMS, task
from toprope_tasks.mirror import paper
from toprope_tasks.mirror.calgrid import dialect as calgrid
from toprope_tasks.mirror.dice import Dice
from toprope_tasks.mirror.packing import ProgramCase
from toprope_tasks.mirror.programs import Example
from toprope_tasks.mirror.rpn import dialect as rpn
from toprope_tasks.mirror.rpn.reference import rounded

SOURCES = st.lists(st.text(st.characters(max_codepoint=255), max_size=6), max_size=8)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    st.sampled_from(PROGRAMS), st.integers(0, 40), SOURCES, st.sampled_from(["", "-e", "-q", "-y", "-k", "-t", "-d"])
)
def test_a_reference_answers_anything(name: str, which: int, words: list[str], option: str) -> None:
    """Any arguments and input, in any dialect: bytes, bytes and an exit code, twice the same."""
    program = task(name).program
    d = program.dialect(Dice("any", which))
    argv = tuple(w.encode("latin-1") for w in ([option] if option else []) + words)
    case = ProgramCase(argv, " ".join(words).encode("latin-1"))
    answer = program.run(d, case)
    assert isinstance(answer.out, bytes) and isinstance(answer.err, bytes) and 0 <= answer.code <= 255
    assert answer == program.run(d, case)


@pytest.mark.parametrize("name", PROGRAMS)
def test_more_than_2_to_the_40_dialects(name: str) -> None:
    """60 draws give 60 dialects that differ in most of their decisions from each other; the count by formula."""
    program = task(name).program
    found = [program.dialect(Dice("many", i)) for i in range(60)]
    assert len({repr(d) for d in found}) == 60
    letters = 26 * 25 * 24 * 23 * 22 * 21 * 20 * 19 * 18 * 17
    ways = letters if name == "rpn" else 15**8  # month lengths of the shortest year alone, without a layout
    layouts = (
        5 * 5 * 3 * 2 * 2 * 4 * 4 * 2 * 2 * 3 * 2 * 3 * 3 * 4 * 2 * 2 if name == "rpn" else 3 * 5 * 5 * 3**5 * 4**4
    )
    assert ways * layouts > 2**40


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_manual_is_true(name: str) -> None:
    """Its examples are what the reference says, in 20 dialects, and each page differs."""
    program, pages = task(name).program, set()
    for i in range(20):
        d = program.dialect(Dice("page", i))
        pages.add(program.docs(d))
        for case in program.examples(d):
            assert paper.shown(name, Example(case, program.run(d, case))).startswith(f"    $ {name} ")
    assert len(pages) == 20


class TestRpn:
    def test_no_command_takes_the_letter_of_another_word(self) -> None:
        """Ten different letters, none of them the root's, in 300 dialects."""
        for i in range(300):
            letters = rpn.draw(Dice("letters", i)).letters
            assert len(set(letters.values())) == len(rpn.COMMANDS)
            assert rpn.ROOT not in letters.values()

    def test_rounding_is_what_its_name_says(self) -> None:
        """Against the definition by exact fractions, for all small quotients of either sign, in all five modes."""
        for n in range(-12, 13):
            for m in (-4, -3, -2, 2, 3, 4, 8):
                exact, floor = Fraction(n, m), Fraction(n, m).__floor__()
                cut = floor if exact >= 0 or exact == floor else floor + 1
                near = min((floor, floor + 1), key=lambda q: (abs(q - exact), abs(q) % 2))
                far = near if abs(exact - floor) != Fraction(1, 2) else (floor if exact < 0 else floor + 1)
                assert rounded(n, m, "floor") == floor
                assert rounded(n, m, "zero") == cut
                assert rounded(n, m, "away") == (floor if exact == floor or exact < 0 else floor + 1)
                assert rounded(n, m, "half even") == near
                assert rounded(n, m, "half away") == far

    @pytest.mark.parametrize("which", range(12))
    def test_sums_and_products_are_exact(self, which: int) -> None:
        """Printed sums, differences and quotients are within one unit of the last place of the exact fraction, and sums
        are the fraction itself, whatever the dialect writes around the digits."""
        d = task("rpn").program.dialect(Dice("sums", which))._replace(group="", minus="before")
        unit, dice = Fraction(1, 10**d.scale), Dice("values", which)
        for op, exact in (("+", lambda a, b: a + b), ("-", lambda a, b: a - b), ("/", lambda a, b: a / b)):
            a, b = (Fraction(dice.between(1, 99999), 10) for _ in range(2))
            text = f"{float(a)} {float(b)} {op} {d.letters['print']}".encode()
            said = Fraction(task("rpn").program.run(d, ProgramCase((), text)).out.decode().strip())
            wanted = exact(a, b) if d.order == "under" else exact(b, a)
            assert abs(said - wanted) <= (unit if op == "/" else 0)

    def test_errors_by_policy(self) -> None:
        """`1 +` and then a print: stop prints nothing, keep prints 1, lose has nothing left to print (two errors)."""
        program = task("rpn").program
        base = program.dialect(Dice("errors"))._replace(scale=0, codes="count", message="mark", group="")
        text = f"1 + {base.letters['print']}".encode()
        said = {p: program.run(base._replace(after=p), ProgramCase((), text)) for p in rpn.AFTER}
        what = f"? {base.words['short']}\n".encode()
        assert said["stop"] == (b"", what, 1)
        assert said["keep"] == (b"1\n", what, 1)
        assert said["lose"] == (b"", what * 2, 2)


class TestCalgrid:
    @pytest.mark.parametrize("which", range(10))
    def test_a_grid_holds_every_day_once_in_order(self, which: int) -> None:
        """The numbers of a month's grid are 1 to its length, as the list of the year gives it."""
        program = task("calgrid").program
        d = program.dialect(Dice("grid", which))
        for month in range(1, len(d.months) + 1):
            year = d.cycle[0] * (1 + which)
            listed = program.run(d, ProgramCase((b"-y", b"%d" % year))).out.decode().splitlines()[month - 1].split()
            lines = program.run(d, ProgramCase((b"%d" % month, b"%d" % year))).out.decode().splitlines()[2:]
            cells = " ".join(lines).translate(str.maketrans("|/-._", "     ")).split()
            assert [int(c) for c in cells] == list(range(1, int(listed[1]) + 1))

    @pytest.mark.parametrize("which", range(10))
    def test_days_follow_each_other(self, which: int) -> None:
        """From one month's first to the next one's are as many days as the month has, the weekday moves by as many,
        differences change sign with their direction; over a whole leap cycle, in three leap rules."""
        program = task("calgrid").program
        d = program.dialect(Dice("days", which))

        def ask(*words: object) -> str:
            return program.run(d, ProgramCase(tuple(str(w).encode() for w in words))).out.decode().strip()

        for year in (1, d.cycle[0], d.cycle[1], d.cycle[2], 9000):
            for month in range(1, len(d.months)):
                gap = int(ask("-t", 1, month, year, 1, month + 1, year))
                assert gap == int(ask("-y", year).splitlines()[month - 1].split()[1])
                assert int(ask("-t", 1, month + 1, year, 1, month, year)) == -gap
                first, then = (d.days.index(ask("-q", 1, m, year)) for m in (month, month + 1))
                assert (first + gap - then) % len(d.days) == 0
            leap = int(ask("-t", 1, 1, year, 1, 1, year + 1)) - sum(n for _, n in d.months)
            a, b, c = (year % n == 0 for n in d.cycle)
            assert leap == (a and (not b or d.leap == "every" or (c and d.leap == "unless")))

    def test_names_are_distinct(self) -> None:
        """No dialect has two days or months of one name, so every date can be said."""
        for i in range(50):
            d = calgrid.draw(Dice("names", i))
            assert len({*d.days, *(name for name, _ in d.months)}) == len(d.days) + len(d.months)


def test_starters_do_not_import_what_is_denied() -> None:
    """The sketches obey the task's own rule, and the modules it names exist."""
    from toprope.referee.imports import denied

    for name in PROGRAMS:
        t = task(name)
        assert denied(t.starter(), t.spec.denied_imports) == ""
        assert all(importlib.util.find_spec(m) for m in t.spec.denied_imports)
