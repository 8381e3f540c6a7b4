"""The options of a climb that stand in its record, one row each. Imports nothing heavy: `toprope --help` reads it."""

from __future__ import annotations

from typing import Any, NamedTuple

from toprope.errors import UsageError


class Option(NamedTuple):
    """name: as a keyword; the flag is made of it. at: where its value stands in an `Ask`. over, most: a number is above
    the one and at most the other. many: may be given several times. mcp: an option of `toprope mcp`, too."""

    name: str
    at: str
    help: str
    kind: type = str
    over: float = 0
    most: float = 1e9
    many: bool = False
    mcp: bool = False
    metavar: str | None = None

    @property
    def flag(self) -> str:
        return "--" + self.name.replace("_", "-")

    def read(self, value: Any) -> Any:
        """The value for the record. Raises UsageError for a number out of range or words that are no text."""
        if self.name == "prices" and isinstance(value, str):
            return _prices(value)
        for one in value if self.many else [value]:
            if self.kind is str and isinstance(one, str) and not is_text(one):
                raise UsageError(f"{self.flag} {one!r} is no text; expected UTF-8")
            if self.kind is not str and not self.over < one <= self.most:
                raise UsageError(f"{self.flag} {one}; expected {self._range()}")
        return list(value) if self.many else value

    def _range(self) -> str:
        if self.kind is int:
            return f"a whole number from {self.over + 1:.0f} to {self.most:,.0f}"
        return f"a number above {self.over:g} and at most {self.most:g}"

    def words(self, value: Any) -> list[str]:
        """The words of a command line that say so."""
        if value is None or value == []:
            return []
        if self.name == "prices":
            return [self.flag, ",".join(map(_number, value))]
        some = value if self.many else [value]
        return [w for one in some for w in tied(self.flag, one if self.kind is str else _number(one))]


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else repr(value).removesuffix(".0")


def tied(flag: str, value: str) -> list[str]:
    """A value that looks like an option is tied to its flag."""
    return [f"{flag}={value}"] if value.startswith("-") or not value else [flag, value]


def is_text(value: str) -> bool:
    """Words from the command line may hold bytes that are not text, as lone surrogates."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _prices(said: str) -> list[float]:
    try:
        found = [float(part) for part in said.split(",")]
    except ValueError:
        found = []
    if len(found) not in (2, 4) or not all(0 <= price <= 1e6 for price in found):
        raise UsageError(f"--prices {said}; expected IN,OUT or IN,OUT,WRITE,READ in dollars for a million tokens: 3,15")
    return found


LLM = "With --climber llm:"
OPTIONS = (
    Option("model", "climber.plan.model", f"{LLM} PROVIDER/NAME, as Inspect names models."),
    Option("researchers", "climber.plan.researchers", f"{LLM} how many, side by side [1].", int, most=100),
    Option("direction", "climber.plan.directions", f"{LLM} of one researcher; may be repeated.", many=True),
    Option("each", "climber.plan.experiments", f"{LLM} experiments of each [1000].", int, mcp=True),
    Option("attempts", "climber.plan.attempts", f"{LLM} at the gate, for each [8].", int, most=10**6, mcp=True),
    Option(
        "tokens",
        "climber.plan.tokens",
        f"{LLM} cap for each [2,000,000]; the last reply may pass it.",
        int,
        most=10**12,
    ),
    Option("dollars", "climber.plan.dollars", f"{LLM} hard cap for each; needs --prices.", float),
    Option(
        "prices", "climber.plan.prices", f"{LLM} dollars for a million tokens [,CACHE WRITE,READ].", metavar="IN,OUT"
    ),
    Option("seconds", "climber.plan.seconds", f"{LLM} of scorers, for each [28,800].", float, mcp=True),
    Option(
        "gate_seconds",
        "climber.plan.gate_s",
        f"{LLM} until the gate can answer; a slower candidate is refused [600].",
        float,
        most=1e6,
        mcp=True,
    ),
    Option("experiments", "experiments", "Budget in experiments; exact and reproducible.", int, mcp=True),
    Option("minutes", "minutes", "Budget in minutes of climbing [2 if no budget is given].", float),
    Option("until", "until", "Stop when the measured value of the champion has reached this.", float, over=-1e9),
    Option(
        "patience",
        "patience",
        "Stop after so many experiments without a better practice value or a promotion.",
        int,
    ),
    Option("seed", "seed", "Fixes the climber and the dev draws [0].", int, over=-1, most=2**63 - 1, mcp=True),
    Option("rehearsal_secret", "rehearsal", "Replace the random run secret; the run then certifies nothing."),
    Option("beacon_round", "beacon_round", "A future round of a public beacon; its value will decide the test draws."),
    Option(
        "candidate_model",
        "asks.model",
        "PROVIDER/NAME that candidates may ask, where TASK allows it [the task's own script].",
        mcp=True,
    ),
    Option(
        "candidate_tokens",
        "asks.tokens",
        "Hard cap on the tokens that candidates use in practice, and as much again on hidden draws.",
        int,
        most=10**12,
        mcp=True,
    ),
)
