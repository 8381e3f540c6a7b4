"""What is asked of a run is one value: options, keywords, record and printed command say the same."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import toprope
from toprope import climbers, wire
from toprope.cli.agents import mcp
from toprope.cli.climbing import climb, wished
from toprope.errors import UsageError
from toprope.journal.records import kind_of, record
from toprope.journal.spec import (
    CandidateModel,
    External,
    Imported,
    Plan,
    Replay,
    Researchers,
    RunSpec,
    Search,
    among,
    options,
)
from toprope.protocols import Entry

COIN, ASKING = "testing/coin-v1", "testing/asking-v1"

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
search |= st.builds(Imported, st.sampled_from(["mine:Mine", "a.b_c:D.e"]))


@st.composite
def specs(draw):
    who = draw(search | llm | external)
    own = isinstance(who, External)
    budget = draw(st.tuples(number, st.none() | money) | st.tuples(st.none(), money))
    models = st.builds(CandidateModel, some_text, st.none() | number)
    task, model = draw(st.just((COIN, None)) | st.tuples(st.just(ASKING), models))
    return RunSpec(
        run="",
        task=task,
        climber=who,
        seed=draw(st.integers(0, 2**63 - 1)),
        experiments=draw(number) if own else budget[0],
        minutes=None if own else budget[1],
        rehearsal=None if own else draw(st.none() | text),
        until=None if own else draw(st.none() | st.floats(-1e6, 1e6)),
        patience=None if own else draw(st.none() | number),
        beacon_round=None if own else draw(st.none() | text),
        candidate_model=model,
    )


def parsed(words: list[str]) -> tuple[RunSpec, dict]:
    """What click makes of a command line, and the record of it."""
    command: click.Command = {"climb": climb, "mcp": mcp}[words[1]]
    values = command.make_context(words[1], list(words[2:])).params
    task = values["task"]
    if words[1] == "mcp":
        return RunSpec.from_keywords(task, "external", **among({**values, "tokens": None})), values
    return wished(task, values), values


@settings(deadline=None)
@given(specs(), st.sampled_from([None, "none", "linux-full", "linux-landlock"]), st.booleans(), st.booleans())
def test_a_printed_command_asks_for_the_same(spec, tier, unseal, report):
    """Every spec has a command that the parser turns into the same spec, whatever its values hold."""
    own = isinstance(spec.climber, External)
    tier = None if own and tier == "none" else tier
    words = spec.argv(tier=tier, unseal=unseal, report=report)
    again, values = parsed(shlex.split(shlex.join(words)))
    assert again == spec
    assert values["unseal"] == unseal
    assert values.get("report", False) == (report and not own)
    assert ("none" if values.get("trust") else values["tier"]) == tier


@settings(deadline=None)
@given(specs())
def test_keywords_and_record_ask_for_the_same(spec):
    """A spec has keywords that make the same spec, and a record that is read as the same."""
    assert RunSpec.from_keywords(**spec.keywords()) == spec
    assert record(Entry(0, kind_of(spec), wire.encode(spec), "")) == spec


def test_every_field_is_an_option():
    """A field without an option could not be asked for; what a command line says by its arguments needs none."""
    arguments = {"run", "task", "climber", "candidate_model", "climber.plan.min_experiments_between"}
    fields = {f"climber.plan.{f}" for f in Plan.__struct_fields__} | set(RunSpec.__struct_fields__)
    fields |= {f"candidate_model.{f}" for f in CandidateModel.__struct_fields__}
    assert {o.at for o in options()} == fields - arguments


def test_a_keyword_that_no_option_has_is_refused():
    """A misspelt keyword would otherwise be a budget that is not kept."""
    with pytest.raises(UsageError, match=r"'experments' is not an option of a run; expected model, .*experiments"):
        RunSpec.from_keywords(COIN, experments=5)


def test_the_climbers_of_the_help_are_those_there_are():
    """The help names every climber, and llm."""
    (option,) = [p for p in climb.params if p.name == "climber"]
    assert option.help is not None
    assert all(name in option.help for name in [*climbers.names(), "llm"])


def test_words_that_are_not_text_are_refused():
    """A ledger cannot hold a lone surrogate."""
    for values in ({"rehearsal_secret": "\udcff"}, {"beacon_round": "\udcff"}):
        with pytest.raises(UsageError, match="not text"):
            RunSpec.from_keywords(COIN, **values)
    with pytest.raises(UsageError, match="not text"):
        RunSpec.from_keywords(COIN, "replay:\udcff")


# ---------------------------------------------------------------- an option is one field

CONTRIBUTING = Path(__file__).parents[2] / "CONTRIBUTING.md"


def with_the_diff(folder: Path) -> Path:
    """A copy of the package with the diff of CONTRIBUTING.md applied; returns the folder to import it from."""
    source = Path(toprope.__file__).parent
    shutil.copytree(source, folder / "toprope", ignore=shutil.ignore_patterns("__pycache__"))
    _, _, page = CONTRIBUTING.read_text().partition("## A new option of a run")
    lines = page.partition("@@ class RunSpec\n")[2].partition("```")[0].splitlines()
    before = "\n".join(line[1:] for line in lines if not line.startswith("+"))
    after = "\n".join(line[1:] for line in lines)
    path = folder / "toprope" / "journal" / "spec.py"
    text = path.read_text()
    assert text.count(before) == 1, "the diff's context is not what stands there"
    path.write_text(text.replace(before, after))
    return folder


@pytest.mark.e2e
def test_an_option_is_added_in_one_place(tmp_path):
    """The diff of CONTRIBUTING.md, one field: help, record, report and keywords know the option."""
    env = os.environ | {"PYTHONPATH": str(with_the_diff(tmp_path / "src"))}

    def run(*words: object) -> str:
        done = subprocess.run([sys.executable, *map(str, words)], env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "--note" in run("-m", "toprope.cli", "climb", "--help")
    options = ("--experiments", 2, "--workers", 1, "--rehearsal-secret", "x", "--note", "two words")
    run("-m", "toprope.cli", "climb", COIN, *options, "--run", tmp_path / "run", "--report")
    assert "--note &#39;two words&#39;" in (tmp_path / "run" / "report.html").read_text()
    code = """
import sys
from pathlib import Path
from toprope.journal.reading import read
from toprope.journal.spec import RunSpec
spec = read(Path(sys.argv[1])).opening.spec
print(spec.note, RunSpec.from_keywords(**spec.keywords()).note)
"""
    assert run("-c", code, tmp_path / "run") == "two words two words\n"
