"""What is asked of a run is one value: options, record and printed command say the same."""

import shlex
import shutil
from pathlib import Path

import click
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toprope import climbers, wire
from toprope.assay.verify import verify
from toprope.cli.agents import mcp
from toprope.cli.climbing import climb, wished
from toprope.errors import UsageError
from toprope.journal import spec
from toprope.journal.ledger import read_entries
from toprope.journal.options import OPTIONS
from toprope.journal.reading import read
from toprope.journal.records import Opening, record
from toprope.journal.spec import Ask, Asks, External, Plan, Replay, Researchers, Search
from toprope.protocols import Entry
from toprope.view.report import render

COIN, ASKING = "testing/coin-v1", "testing/asking-v1"
OLD = Path(__file__).with_name("ledger-format-1.db")  # made by the version of 2026-11-26, on testing/coin-v1

text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
some_text = text.filter(bool)
money = st.floats(1e-6, 1e6)
prices = st.sampled_from([2, 4]).flatmap(lambda n: st.lists(money, min_size=n, max_size=n))
number = st.integers(1, 10**6)
llm = st.builds(
    lambda n, names, **k: Researchers(Plan(researchers=n, directions=names[:n], **k)),
    st.integers(1, 100),
    st.lists(some_text, min_size=1, max_size=4),
    model=some_text,
    experiments=number,
    attempts=number,
    tokens=number,
    dollars=st.none() | money,
    prices=prices | st.just([]),
)
external = st.builds(lambda e, a: External(Plan(experiments=e, attempts=a)), number, number)
search = st.builds(Search, st.sampled_from(["evolution", "random"])) | st.builds(Replay, some_text)


@st.composite
def wishes(draw):
    who = draw(search | llm | external)
    own = isinstance(who, External)
    budget = draw(st.tuples(number, st.none() | money) | st.tuples(st.none(), money))
    task, asks = draw(
        st.just((COIN, None)) | st.tuples(st.just(ASKING), st.builds(Asks, some_text, st.none() | number))
    )
    return Ask(
        run="",
        task=task,
        climber=who,
        seed=draw(st.integers(0, 2**63 - 1)),
        experiments=draw(number) if own else budget[0],
        minutes=None if own else budget[1],
        rehearsal=None if own else draw(st.none() | text),
        beacon_round=None if own else draw(st.none() | text),
        asks=asks,
    )


def parsed(words: list[str]) -> tuple[Ask, dict]:
    """What click makes of a command line, and the record of it."""
    command: click.Command = {"climb": climb, "mcp": mcp}[words[1]]
    options = command.make_context(words[1], list(words[2:])).params
    task = options["task"]
    if words[1] == "mcp":
        return spec.wished(task, "external", {**options, "tokens": None}), options
    return wished(task, options), options


@settings(deadline=None)
@given(wishes(), st.sampled_from([None, "none", "linux-full", "linux-landlock"]), st.booleans(), st.booleans())
def test_a_printed_command_asks_for_the_same(ask, tier, unseal, report):
    """Every record has a command that the parser turns into the same record, whatever its values hold."""
    own = isinstance(ask.climber, External)
    tier = None if own and tier == "none" else tier
    words = spec.command(ask, tier=tier, unseal=unseal, report=report)
    again, options = parsed(shlex.split(shlex.join(words)))
    assert again == ask
    assert options["unseal"] == unseal
    assert options.get("report", False) == (report and not own)
    assert ("none" if options.get("trust") else options["tier"]) == tier


def test_every_option_leads_to_the_record():
    """An option without a field, or a field without an option, would be lost on the way."""
    llm = Ask("", COIN, Researchers(Plan()), asks=Asks())
    for o in OPTIONS:
        value = llm
        for name in o.at.split("."):
            value = getattr(value, name)
    told = {o.at for o in OPTIONS} | {"run", "task", "climber", "climber.plan.apart"}
    fields = {f"climber.plan.{f}" for f in Plan.__struct_fields__} | {f"asks.{f}" for f in Asks.__struct_fields__}
    assert fields | set(Ask.__struct_fields__) - {"asks"} == told


def test_the_climbers_of_the_help_are_those_there_are():
    """The help names every climber, and llm."""
    (option,) = [p for p in climb.params if p.name == "climber"]
    assert all(name in option.help for name in [*climbers.names(), "llm"])


def test_words_that_are_not_text_are_refused():
    """A ledger cannot hold a lone surrogate."""
    for values in ({"rehearsal_secret": "\udcff"}, {"beacon_round": "\udcff"}):
        with pytest.raises(UsageError, match="no text"):
            spec.wished(COIN, "evolution", values)
    with pytest.raises(UsageError, match="no text"):
        spec.wished(COIN, "replay:\udcff", {})


# ---------------------------------------------------------------- ledgers of earlier formats


@pytest.fixture
def old(tmp_path, monkeypatch):
    monkeypatch.setenv("TOPROPE_VAULT", str(tmp_path / "vault"))
    (tmp_path / "run").mkdir()
    shutil.copyfile(OLD, tmp_path / "run" / "ledger.db")
    return tmp_path / "run"


def test_a_ledger_of_format_1_is_read_and_verified(old, tmp_path):
    """A run of an earlier version stays readable, and everything in it can be run again."""
    story = read(old)
    assert (story.opening.format, story.opening.climber, story.spec.climber) == (1, Search(), Search())
    command = render(story).partition("<h2>To repeat it</h2>\n<pre>")[2].partition("</pre>")[0]
    assert parsed(shlex.split(command))[0] == msgspec.structs.replace(story.spec, run="")
    result = verify(old, None, "linux-landlock", 1, tmp_path / "vault", render, lambda *_: None)
    assert result["ok"], result["checks"]
    assert result["champion_reproduced"]


@pytest.mark.parametrize(
    ("climber", "plan", "now"),
    [
        ("random", None, Search("random")),
        ("replay:a:b.json", None, Replay("a:b.json")),
        ("llm:openai/x", Plan("openai/x", 3, ["a"]), Researchers(Plan("openai/x", 3, ["a"]))),
        ("external", Plan(attempts=3), External(Plan(attempts=3))),
        ("external", None, External()),
        ("llm:openai/x", None, Researchers(Plan("openai/x"))),
    ],
)
def test_climbers_of_format_1_are_read_as_todays(climber, plan, now):
    """A climber was a word, with what its authors may do beside it."""
    body = {"run": "r", "task": COIN, "climber": climber, "seed": 3, "experiments": 5, "plan": plan}
    assert record(Entry(0, "ask", wire.encode(body), "")).climber == now


def test_the_opening_holds_the_format(old):
    """What a reader goes by is in the chain."""
    (opened,) = [record(e) for e in read_entries(old) if e.kind == "open"]
    again = wire.decode(wire.encode(opened), Opening)
    assert (again.climber, again.format) == (Search(), 1)
