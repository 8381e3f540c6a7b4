"""Runs of earlier versions stay readable: shown, reported, verified, and gone on with."""

import shlex
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from toprope import wire
from toprope.cli.climbing import climb, wished
from toprope.journal.ledger import read_entries
from toprope.journal.past import modern
from toprope.journal.reading import read
from toprope.journal.records import FORMAT, Opening, record
from toprope.journal.spec import CandidateModel, External, Plan, Replay, Researchers, Search
from toprope.protocols import Entry
from toprope.referee.vault import Vault

COIN = "testing/coin-v1"
FORMATS = [1, 2, 3, 4, 5, 6]  # a ledger of each lies here, made by the version that had it, on testing/coin-v1


@pytest.fixture(params=FORMATS)
def old(request, tmp_path):
    """A run directory with a finished ledger of an earlier format."""
    (tmp_path / "run").mkdir()
    shutil.copyfile(Path(__file__).with_name(f"ledger-format-{request.param}.db"), tmp_path / "run" / "ledger.db")
    return tmp_path / "run"


def cut(run: Path, kind: str) -> None:
    """As if the run had been killed just before its first entry of this kind."""
    with closing(sqlite3.connect(run / "ledger.db", isolation_level=None)) as db:
        db.execute("DELETE FROM entries WHERE seq >= (SELECT min(seq) FROM entries WHERE kind=?)", (kind,))


def test_there_is_a_ledger_of_every_earlier_format():
    """A changed format leaves a ledger of the one before as a fixture."""
    assert list(range(1, FORMAT)) == FORMATS


def test_the_secret_of_an_old_run_is_known_by_its_name(old):
    """Its kind was not recorded, whether it is public was part of the name."""
    opening = read(old).opening
    assert opening.kept is None
    kept = msgspec.structs.replace(opening, hidden="public demo dialect").kept
    assert (kept.label, kept.public) == ("secret: public demo dialect", True)
    assert not msgspec.structs.replace(opening, hidden="private 0123").kept.public


@pytest.mark.parametrize(
    "old", [*(pytest.param(n, marks=pytest.mark.slow) for n in FORMATS[1:-1]), FORMATS[0], FORMATS[-1]], indirect=True
)
def test_an_old_run_is_shown_reported_and_verified(cli, old):
    """Its summary, its page with the command that repeats it, and everything that can be run again."""
    history = read(old)
    assert history.opening.spec == history.spec
    assert (history.spec.task, history.spec.climber) == (COIN, Search())
    kinds = ["errata", "dual gap"] if history.opening.format < 3 else []  # before a task declared its own
    assert history.opening.answer_kinds == kinds
    shown = cli.json("show", old)
    assert shown["test"]["value"] == round(history.test.champion.value, 4)
    assert cli.run("report", old).returncode == 0
    page = (old / "report.html").read_text()
    words = shlex.split(page.partition("<h2>To repeat it</h2>\n<pre>")[2].partition("</pre>")[0])
    values = climb.make_context("climb", words[2:]).params
    assert wished(values["task"], values) == msgspec.structs.replace(history.spec, run="")
    checked = cli.json("verify", old, "--workers", 1)
    assert checked["ok"], checked["checks"]
    assert checked["champion_reproduced"]


@pytest.mark.parametrize(
    "old", [*(pytest.param(n, marks=pytest.mark.slow) for n in FORMATS[:-1]), FORMATS[-1]], indirect=True
)
@pytest.mark.parametrize("kind", [pytest.param("sitting", marks=pytest.mark.slow), "attempt"])
def test_an_old_run_is_gone_on_with(cli, old, tmp_path, kind):
    """Killed in its climb it ends as it had ended, by the rules by which it began; killed before it had begun it is a
    run of today."""
    before, spec = cli.export(old), read(old).spec
    cut(old, kind)
    if kind == "attempt":
        with closing(Vault(tmp_path / "vault")) as vault:  # knows the run as it was then
            vault.begin_session(spec.run, spec.task, spec.rehearsal, 0)
    summary = cli.json("resume", old, "--workers", 1, "--unseal")
    assert summary["test"] is not None
    if kind == "attempt":
        assert cli.export(old) == before
    assert cli.json("verify", old, "--workers", 1)["ok"]
    (opened,) = [record(e) for e in read_entries(old) if e.kind == "open"]
    assert (opened.format == FORMAT) == (kind == "sitting")


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


def test_the_model_of_candidates_of_format_2_is_read_as_todays():
    """It was called `asks`."""
    body = {"run": "r", "task": COIN, "climber": Search(), "asks": {"model": "p/m", "tokens": 7}}
    assert record(Entry(0, "ask", wire.encode(body), "")).candidate_model == CandidateModel("p/m", 7)


def test_todays_records_are_not_touched(old):
    """What is in today's form is read as it stands."""
    (opened,) = [record(e) for e in read_entries(old) if e.kind == "open"]
    for kind, now in (("ask", opened.spec), ("open", opened)):
        assert modern(kind, wire.encode(now)) == wire.encode(now)
    assert wire.decode(wire.encode(opened), Opening).format == opened.format
