"""RunSpec: what a user asks of a run, as one value, converted from command-line options, to a record, and back.

An option is one annotated field. `options` collects these fields, so that the command line, `from_keywords`, `keywords`
and `argv` know the option, the ledger holds it and the report prints it. Nothing heavy is imported at the top, because
`toprope --help` imports this module.
"""

from __future__ import annotations

import difflib
import functools
import numbers
import shlex
import types
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, NamedTuple, Self, get_args, get_origin, get_type_hints

import msgspec

from toprope import plugins
from toprope.errors import UsageError
from toprope.models.messages import SCRIPTED


class Option(NamedTuple):
    """How a user gives a field. name: the keyword, from which the flag is made; "" for the field's name. over, most: a
    number must be above `over` and at most `most`. mcp: also an option of `toprope mcp`.

    at, kind, many: path of the value in a `RunSpec`, its type, and whether it may be given several times; `options`
    fills these in from the field.
    """

    help: str
    name: str = ""
    over: float = 0
    most: float = 1e9
    mcp: bool = False
    metavar: str | None = None
    at: str = ""
    kind: type = str
    many: bool = False

    @property
    def flag(self) -> str:
        return "--" + self.name.replace("_", "-")

    def read(self, value: Any) -> Any:
        """The value for the record. Raises UsageError for a number out of range or words that are not text."""
        if self.name == "prices":
            return _prices(value)
        if self.name == "executor":
            return _executor(self._one(value))
        if not self.many:
            return self._one(value)
        if not isinstance(value, list | tuple):
            raise UsageError(f"{self.flag} {value!r}; expected a list")
        return [self._one(one) for one in value]

    def _one(self, value: Any) -> Any:
        if self.kind is str:
            if not (isinstance(value, str) and is_text(value)):
                raise UsageError(f"{self.flag} {value!r} is not text; expected UTF-8")
            return value
        counts = isinstance(value, numbers.Integral if self.kind is int else numbers.Real)
        if not counts or isinstance(value, bool) or not self.over < value <= self.most:
            raise UsageError(f"{self.flag} {value}; expected {self._range()}")
        return self.kind(value)

    def _range(self) -> str:
        if self.kind is int:
            return f"a whole number from {self.over + 1:.0f} to {self.most:,.0f}"
        return f"a number above {self.over:g} and at most {self.most:g}"

    def words(self, value: Any) -> list[str]:
        """The command-line words that give this value."""
        if value is None or value == []:
            return []
        if self.name == "prices":
            return [self.flag, ",".join(map(_number, value))]
        some = value if self.many else [value]
        return [w for one in some for w in _tied(self.flag, one if self.kind is str else _number(one))]


def is_text(value: str) -> bool:
    """Whether the value is text: words from the command line may hold other bytes, as lone surrogates."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else repr(value).removesuffix(".0")


def _tied(flag: str, value: str) -> list[str]:
    """Flag and value as words; a value that looks like an option is joined to its flag with `=`."""
    return [f"{flag}={value}"] if value.startswith("-") or not value else [flag, value]


def _prices(said: Any) -> list[float]:
    """said: a list, or its numbers with commas between them."""
    try:
        found = [float(part) for part in (said.split(",") if isinstance(said, str) else said)]
    except (TypeError, ValueError):
        found = []
    if len(found) not in (2, 4) or not all(0 <= price <= 1e6 for price in found):
        raise UsageError(f"--prices {said}; expected IN,OUT or IN,OUT,WRITE,READ in dollars per million tokens: 3,15")
    return found


def _executor(word: str) -> str | None:
    """The complete name; None for the default."""
    from toprope.executors import registry

    found = registry.named(word).word
    return found if found != "local" else None


# ---------------------------------------------------------------- the values

LLM = "With --climber llm:"


class Plan(msgspec.Struct, frozen=True):
    """How authors share a run. model: provider/name, or "" for agents that bring their own. experiments, attempts,
    min_experiments_between, seconds, gate_s: per author (`accounts.Quota`). tokens, dollars: hard caps per researcher,
    over all its conversations; dollars None: no cap. prices: dollars per million tokens of input, of output, and
    optionally of input written to and read from a cache. directions: one per researcher, in turn."""

    model: Annotated[str, Option(f"{LLM} PROVIDER/NAME, as Inspect names models.")] = ""
    researchers: Annotated[int, Option(f"{LLM} number of researchers [1].", most=100)] = 1
    directions: Annotated[list[str], Option(f"{LLM} direction of one researcher; may be repeated.", "direction")] = []
    experiments: Annotated[int, Option(f"{LLM} experiments per researcher [1000].", "each", mcp=True)] = 1000
    attempts: Annotated[int, Option(f"{LLM} attempts at the gate per researcher [8].", most=10**6, mcp=True)] = 8
    min_experiments_between: int = msgspec.field(default=4, name="apart")  # stored under its older name
    tokens: Annotated[int, Option(f"{LLM} cap per researcher [2,000,000]; one reply may exceed it.", most=10**12)] = (
        2_000_000
    )
    dollars: Annotated[float | None, Option(f"{LLM} hard cap per researcher; needs --prices.")] = None
    prices: Annotated[
        list[float], Option(f"{LLM} dollars per million tokens [,CACHE WRITE,READ].", metavar="IN,OUT")
    ] = []
    seconds: Annotated[float, Option(f"{LLM} scorer seconds per researcher [28,800].", mcp=True)] = 28_800.0
    gate_s: Annotated[
        float,
        Option(
            f"{LLM} longest wait for the gate's first possible answer; a slower candidate is refused [600].",
            "gate_seconds",
            most=1e6,
            mcp=True,
        ),
    ] = 600.0


class CandidateModel(msgspec.Struct, frozen=True):
    """The model that candidates may ask. tokens: hard cap on practice draws, and the same again on hidden draws; None:
    no cap."""

    model: Annotated[
        str,
        Option(
            "PROVIDER/NAME that candidates may ask, where TASK allows it [the task's own script].",
            "candidate_model",
            mcp=True,
        ),
    ] = SCRIPTED
    tokens: Annotated[
        int | None,
        Option(
            "Hard cap on the tokens that candidates use in practice, and again on hidden draws.",
            "candidate_tokens",
            most=10**12,
            mcp=True,
        ),
    ] = None


class Search(msgspec.Struct, frozen=True, tag="search"):
    """A climber of ours that proposes rows of the task's space."""

    name: str = "evolution"
    plan: ClassVar[Plan | None] = None

    @property
    def label(self) -> str:
        return self.name


class Replay(msgspec.Struct, frozen=True, tag="replay"):
    """The experiments of another run, from its export."""

    file: str
    plan: ClassVar[Plan | None] = None

    @property
    def label(self) -> str:
        return f"replay:{self.file}"


class Imported(msgspec.Struct, frozen=True, tag="imported"):
    """A climber of the user's own, MODULE:CLASS. A run directory may be a stranger's, so the class is loaded only if
    the command line names it again. Raises ValueError for another form of target."""

    target: str
    plan: ClassVar[Plan | None] = None

    def __post_init__(self) -> None:
        if not plugins.is_target(self.target):
            raise ValueError(f"climber {self.target[:80]!r}; expected MODULE:CLASS")

    @property
    def label(self) -> str:
        return self.target


class Researchers(msgspec.Struct, frozen=True, tag="llm"):
    """Language models that we run."""

    plan: Plan

    @property
    def label(self) -> str:
        return f"llm:{self.plan.model}"


class External(msgspec.Struct, frozen=True, tag="external"):
    """Agents that the user runs (`toprope mcp`)."""

    plan: Plan = Plan()

    @property
    def label(self) -> str:
        return "external"


Climbing = Search | Replay | Imported | Researchers | External


class RunSpec(msgspec.Struct, frozen=True):
    """kind "ask", the first entry: what a user asks of a new run, so that a run killed while starting can be resumed.
    run: a random name, "" until the run is made. The climb ends when the champion's measured value reaches `until`, or
    after `patience` experiments without an improvement. executor: None for `local`. blocks: None for `race.BLOCKS`.
    generation: None for the task's own."""

    run: str
    task: str
    climber: Climbing = Search()
    experiments: Annotated[int | None, Option("Budget in experiments; exact and reproducible.", mcp=True)] = None
    minutes: Annotated[float | None, Option("Budget in minutes of climbing [2 if no budget is given].")] = None
    until: Annotated[float | None, Option("Stop when the measured value of the champion reaches this.", over=-1e9)] = (
        None
    )
    patience: Annotated[
        int | None, Option("Stop after this many experiments without a better practice value or a promotion.")
    ] = None
    seed: Annotated[int, Option("Fixes the climber and the dev draws [0].", over=-1, most=2**63 - 1, mcp=True)] = 0
    rehearsal: Annotated[
        str | None,
        Option("Replace the random run secret; the run then certifies nothing.", "rehearsal_secret"),
    ] = None
    beacon_round: Annotated[
        str | None, Option("A future round of a public beacon; its value will help to decide the test draws.")
    ] = None
    candidate_model: CandidateModel | None = None
    executor: Annotated[
        str | None, Option("What runs practice work: local, ray, dir:PATH, a package's, or MODULE:CLASS [local].")
    ] = None
    blocks: Annotated[
        int | None, Option("Blocks that a rung is cut into; at least as many as there are cores [8].", most=10**5)
    ] = None
    generation: Annotated[
        int | None, Option("Proposals of a generation; more keep more cores busy [the task's].", most=10**6)
    ] = None

    @property
    def plan(self) -> Plan | None:
        return self.climber.plan

    @classmethod
    def from_keywords(cls, task: str, climber: str = "evolution", **values: Any) -> Self:
        """A spec without a name for its run. climber: as on the command line. values: by the options' names; None and
        an empty sequence count as not given. Raises UsageError for an unknown name or an invalid value."""
        rows = options(cls)
        if unknown := sorted(values.keys() - {o.name for o in rows}):
            raise UsageError(f"{unknown[0]!r} is not an option of a run; expected {', '.join(o.name for o in rows)}")
        given = {o.at: o.read(values[o.name]) for o in rows if values.get(o.name) not in (None, (), [])}

        def part(prefix: str) -> dict[str, Any]:
            return {at.removeprefix(prefix): v for at, v in given.items() if at.startswith(prefix)}

        who = _climber(climber, part(PLAN))
        top = {at: v for at, v in given.items() if "." not in at}
        if top.keys().isdisjoint({"experiments", "minutes"}):
            top |= (
                {"minutes": 2.0} if who.plan is None else {"experiments": who.plan.researchers * who.plan.experiments}
            )
        return cls("", task, who, **top, candidate_model=model_for(task, part(MODEL)))

    def keywords(self) -> dict[str, Any]:
        """The keywords from which `from_keywords` makes the same spec, without the run's name."""
        climber = {"task": self.task, "climber": _climber_word(self.climber)}
        return climber | {o.name: self._value(o.at) for o in options(type(self))}

    def argv(self, *, tier: str | None = None, unseal: bool = False, report: bool = False) -> list[str]:
        """The words of the command that asks for the same run. tier: "none" if candidates are trusted, None to leave it
        out."""
        own = isinstance(self.climber, External)
        words = ["toprope", "mcp", self.task] if own else ["toprope", "climb", self.task]
        if not own:
            words += _tied("--climber", _climber_word(self.climber))
        for o in options(type(self)):
            if o.mcp or not own:
                words += o.words(self._value(o.at))
        if tier is not None:
            words += ["--i-trust-the-candidates"] if tier == "none" else ["--tier", tier]
        return words + ["--unseal"] * unseal + ["--report"] * (report and not own)

    def _value(self, at: str) -> Any:
        """The value at a path; None if the spec has no such part."""
        value: Any = self
        for name in at.split("."):
            value = getattr(value, name, None)
        return value


# ---------------------------------------------------------------- options and their values

PLAN, MODEL = "climber.plan.", "candidate_model."


def among(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values that belong to options of a run: a command has other parameters too."""
    return {o.name: values[o.name] for o in options() if o.name in values}


@functools.cache
def options(spec: type[RunSpec] = RunSpec) -> tuple[Option, ...]:
    """Every option of a run, in the order of the help."""
    return (*_options(Plan, PLAN), *_options(spec), *_options(CandidateModel, MODEL))


def _options(of: type, prefix: str = "") -> list[Option]:
    found = []
    for name, hint in get_type_hints(of, include_extras=True).items():
        for o in getattr(hint, "__metadata__", ()):
            kind, *_ = [a for a in _alternatives(hint.__origin__) if a is not types.NoneType]
            many = kind == list[str]
            kind = str if get_origin(kind) is list else kind  # prices are also read from text
            found.append(o._replace(name=o.name or name, at=prefix + name, kind=kind, many=many))
    return found


def _alternatives(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if isinstance(hint, types.UnionType) else (hint,)


def _climber(climber: str, plan: dict[str, Any]) -> Climbing:
    if not is_text(climber):
        raise UsageError(f"--climber {climber!r} is not text; expected UTF-8")
    kind, _, file = climber.partition(":")
    if kind == "llm" and file:
        raise UsageError(f"--climber {climber}; expected --climber llm --model {file}")
    if climber == "external":
        return External(Plan(**plan))
    if climber == "llm":
        if "model" not in plan:
            raise UsageError("--climber llm needs --model PROVIDER/NAME, such as openai/NAME or anthropic/NAME")
        whole = Plan(**plan)
        return Researchers(msgspec.structs.replace(whole, directions=whole.directions[: whole.researchers]))
    for o in _options(Plan):
        if o.at in plan:
            raise UsageError(f"{o.flag} is for --climber llm, not for {climber}")
    if kind == "replay" and file:
        return Replay(file)
    if plugins.is_target(climber) and plugins.find(plugins.CLIMBERS, climber) is None:
        return Imported(climber)
    _check_known(climber)
    return Search(climber)


def _check_known(climber: str) -> None:
    from toprope import climbers

    if plugins.find(plugins.CLIMBERS, climber) is not None and climber != "replay":
        return
    there = [*(n if n != "replay" else "replay:FILE" for n in climbers.names()), "llm"]
    near = difflib.get_close_matches(climber, there, 1, 0.6)
    meant = f" (did you mean {near[0]}?)" if near else ""
    raise UsageError(
        f"climber {climber!r} is unknown{meant}; choose one of {', '.join(there)}, or MODULE:CLASS; agents of "
        "your own: `toprope mcp`"
    )


def named_again(run: object, who: Climbing, named: str | None) -> None:
    """Raises UsageError if a resumed run would load a climber that the command line does not name, or names another.
    named: the climber on the command line, or None."""
    own = isinstance(who, Imported)
    if named is not None and named != who.label:
        raise UsageError(f"run {run} is a climb by {who.label}, not by --climber {named}; leave the option out")
    if own and named is None:
        words = shlex.join(["toprope", "resume", str(run), "--climber", who.label])
        raise UsageError(
            f"run {run} is a climb by {who.label}, code that toprope does not load because a run directory names it; "
            f"if you trust it, continue with `{words}`"
        )


def _climber_word(climber: Climbing) -> str:
    return "llm" if isinstance(climber, Researchers) else climber.label


def model_for(task: str, given: Mapping[str, Any]) -> CandidateModel | None:
    """The record of the model that a run's candidates may ask; None if the task allows no model. Raises UsageError for
    values given to such a task."""
    from toprope.tasks import registry

    if registry.load(task).spec.model is not None:
        return CandidateModel(**given)
    if given:
        raise UsageError(f"candidates of {task} may ask no model; leave out --candidate-model and its tokens")
    return None
