"""What a user wants of a run, as one value: from options of a command, to the ledger's record, and back to a command.

An option is one row of `options.py`: the command line, `wished` and `command` read the same rows. An option that is
added there, and as a field here, is parsed, recorded and printed.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec

from toprope import climbers
from toprope.errors import UsageError
from toprope.journal.options import OPTIONS, is_text, tied
from toprope.referee import SCRIPTED
from toprope.tasks import registry


class Plan(msgspec.Struct, frozen=True):
    """How authors share a run. model: provider/name, or "" for agents that bring their own. experiments, attempts,
    apart: for each author (`desk.Quota`). tokens, dollars: hard caps for each researcher, over all its conversations;
    dollars None: no cap. prices: dollars for a million tokens, of input, of output, and perhaps of input written to and
    read from a cache. directions: one for each researcher, in turn. seconds, gate_s: as in a quota."""

    model: str = ""
    researchers: int = 1
    directions: list[str] = []
    experiments: int = 1000
    attempts: int = 8
    apart: int = 4
    tokens: int = 2_000_000
    dollars: float | None = None
    prices: list[float] = []
    seconds: float = 28_800.0
    gate_s: float = 600.0


class Asks(msgspec.Struct, frozen=True):
    """The model that candidates may ask. tokens: the hard cap on practice, and as much again on hidden draws; None: no
    cap."""

    model: str = SCRIPTED
    tokens: int | None = None


# ---------------------------------------------------------------- who climbs


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


Climbing = Search | Replay | Researchers | External


class Ask(msgspec.Struct, frozen=True):
    """kind "ask", the first entry: what a user wants of a new run, so that one killed while starting can be resumed.
    run: a random name. until: measured value of a champion, patience: experiments without anything better, at which the
    climb ends."""

    run: str
    task: str
    climber: Climbing = Search()
    seed: int = 0
    experiments: int | None = None
    minutes: float | None = None
    rehearsal: str | None = None
    beacon_round: str | None = None
    asks: Asks | None = None
    until: float | None = None
    patience: int | None = None

    @property
    def plan(self) -> Plan | None:
        return self.climber.plan


# ---------------------------------------------------------------- to and from options

PLANNED = [o for o in OPTIONS if o.at.startswith("climber.plan.")]


def wished(task: str, climber: str, values: Mapping[str, Any]) -> Ask:
    """An `Ask` without its run's name, from values by the options' names; None and () are not given. climber: as on the
    command line. Raises UsageError for a value that no run can have."""
    given = {o.at: o.read(values[o.name]) for o in OPTIONS if values.get(o.name) not in (None, (), [])}

    def part(prefix: str) -> dict[str, Any]:
        return {at.removeprefix(prefix): v for at, v in given.items() if at.startswith(prefix)}

    who = _climber(climber, part("climber.plan."))
    top = {at: v for at, v in given.items() if "." not in at}
    if top.keys().isdisjoint({"experiments", "minutes"}):
        top |= {"minutes": 2.0} if who.plan is None else {"experiments": who.plan.researchers * who.plan.experiments}
    return Ask("", task, who, **top, asks=candidate_model(task, part("asks.")))


def _climber(climber: str, plan: dict[str, Any]) -> Climbing:
    if not is_text(climber):
        raise UsageError(f"--climber {climber!r} is no text; expected UTF-8")
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
    for o in PLANNED:
        if o.at.removeprefix("climber.plan.") in plan:
            raise UsageError(f"{o.flag} is for --climber llm, not for {climber}")
    if kind == "replay" and file:
        return Replay(file)
    if climber not in climbers.names() or kind == "replay":
        raise UsageError(_unknown(climber))
    return Search(climber)


def _unknown(climber: str) -> str:
    there = [*(n if n != "replay" else "replay:FILE" for n in climbers.names()), "llm"]
    near = difflib.get_close_matches(climber, there, 1, 0.6)
    meant = f" (did you mean {near[0]}?)" if near else ""
    return f"climber {climber!r} is unknown{meant}; choose one of {', '.join(there)}; agents of your own: `toprope mcp`"


def candidate_model(task: str, given: Mapping[str, Any]) -> Asks | None:
    """What a run records of the model that its candidates may ask; None for a task that allows none."""
    if registry.load(task).spec.model is not None:
        return Asks(**given)
    if given:
        raise UsageError(f"candidates of {task} may ask no model; leave out --candidate-model and its tokens")
    return None


def command(ask: Any, *, tier: str | None = None, unseal: bool = False, report: bool = False) -> list[str]:
    """The words of the command that asks for the same. ask: an `Ask` or the `Opening` made from one. tier: "none" for
    candidates that are trusted."""
    own = isinstance(ask.climber, External)
    words = ["toprope", "mcp", ask.task] if own else ["toprope", "climb", ask.task, *_climber_words(ask.climber)]
    for o in OPTIONS:
        if o.mcp or not own:
            words += o.words(_look(ask, o.at))
    if tier is not None:
        words += ["--i-trust-the-candidates"] if tier == "none" else ["--tier", tier]
    return words + ["--unseal"] * unseal + ["--report"] * (report and not own)


def _climber_words(climber: Climbing) -> list[str]:
    return tied("--climber", "llm" if isinstance(climber, Researchers) else climber.label)


def _look(ask: Any, at: str) -> Any:
    for name in at.split("."):
        ask = getattr(ask, name, None)
    return ask
