"""A researcher's tools around the desk: what waits is called waiting, and what one author makes grow has an end."""

import json
from types import SimpleNamespace

import msgspec
import pytest

from toprope import paths
from toprope.journal.records import Queried
from toprope.journal.spec import External, RunSpec
from toprope.researchers import tools
from toprope.researchers.export import practised
from toprope.researchers.tools import Toolbox
from toprope.researchers.workspace import Workspace
from toprope.run import public_brief
from toprope.run.accounts import Quota
from toprope.run.session import Session
from toprope.run.submit import submit
from toprope.sandbox.selftest import Choice
from toprope.stats.intervals import ratio
from toprope.tasks import registry
from toprope.testing.coin import SOURCE
from toprope.types import Candidate, Tree
from toprope.view import text

pytestmark = pytest.mark.e2e


class Nobody:
    def __getattr__(self, name):
        return lambda *_: None


@pytest.fixture
def submissions(tmp_path):
    ask = RunSpec("ab" * 8, "testing/coin-v1", External(), seed=3, experiments=50)
    with Session(tmp_path / "run", ask, lambda _: Choice("linux-landlock"), 1, Nobody()) as session:
        yield session.submissions(Quota(20, 2, 0))


def idle(task="testing/coin-v1", vault=None):
    """Submissions without a run."""
    queried: list[Queried] = []
    spec = registry.load(task).spec
    accounts = SimpleNamespace(findings=[], queried=queried, query=queried.append)
    return SimpleNamespace(spec=spec, accounts=accounts, quota=Quota(), vault=vault or paths.vault())


def coin(skill):
    return Candidate(Tree({"solution.py": SOURCE}), {"face": 1, "act": "ok", "skill": skill})


def test_an_attempt_without_an_answer_is_waiting_and_never_a_verdict(submissions, tmp_path):
    """The call ends before its client gives up, the leaderboard says the same, and asking again gives the answer of the
    same attempt."""
    good = submissions.evaluate(coin(0.09), "ada")
    box = Toolbox(
        submissions, "ada", Workspace(tmp_path / "ada" / "room"), tmp_path / "ada" / "calls.jsonl", gate_s=0.0
    )
    with submissions._gate.turn("bob"):
        assert box.attempt(good.id[:12]).startswith("WAITING at the gate")
        assert f"{good.id[:12]}" in box.leaderboard()
        (row,) = [line for line in box.leaderboard().splitlines() if line.startswith(good.id[:12])]
        assert row.endswith("waiting at the gate")
        assert box.attempt(good.id[:12]).startswith("WAITING at the gate")
    submissions.settled()
    assert box.attempt(good.id[:12]).startswith("PROMOTE")
    assert submissions.attempts("ada") == 1
    assert "waiting" not in box.leaderboard()


def test_nothing_is_begun_after_the_end(submissions, tmp_path):
    """A call that outlives its client's connection adds nothing to a run that is being closed."""
    good = submissions.evaluate(coin(0.09), "ada")
    submissions.close()
    box = Toolbox(submissions, "ada", Workspace(tmp_path / "ada" / "room"), tmp_path / "ada" / "calls.jsonl")
    for said in (box.evaluate("."), box.attempt(good.id[:12]), box.share_finding("insight", "words")):
        assert said.startswith("not done: ")
    assert "is over" in box.attempt(good.id[:12])
    assert (len(submissions.practice.judged), submissions.asked, submissions.accounts.findings) == (2, {}, [])


def test_a_log_has_an_end_and_calls_with_it(tmp_path, monkeypatch):
    """Refused calls are calls: after so many, or so many bytes, none is answered or written; over sittings too."""
    monkeypatch.setattr(tools, "CALLS", 3)
    workspace, log = Workspace(tmp_path / "ada" / "room"), tmp_path / "ada" / "calls.jsonl"
    box = Toolbox(idle(), "ada", workspace, log)
    for _ in range(3):
        assert "outside the workspace" in box.edit("../x", "y")
    assert "has made 3 calls" in box.notebook("more")
    assert "has made 3 calls" in Toolbox(idle(), "ada", workspace, log).notebook("more")
    assert len(log.read_text().splitlines()) == 3
    monkeypatch.setattr(tools, "CALLS", 100)
    monkeypatch.setattr(tools, "LOG", log.stat().st_size)
    assert "the limits are" in box.notebook("more")


@pytest.mark.parametrize("text", ["\U0001f600" * 100_000, "\x00" * 100_000, "plain " * 100_000])
def test_a_call_takes_a_bounded_place_in_the_log(tmp_path, text):
    """Whatever its arguments are made of."""
    log = tmp_path / "ada" / "calls.jsonl"
    box = Toolbox(idle(), "ada", Workspace(tmp_path / "ada" / "room"), log)
    box.edit(text, text, text, text)
    assert log.stat().st_size <= tools.LINE
    assert json.loads(log.read_text())["tool"] == "edit"


def test_the_oracle_is_on_the_account_of_who_asks(tmp_path):
    """Every answer is recorded with its bytes and seconds; who has had enough is told which limit that was, and another
    author is not."""
    submissions = idle("mirror/rpn-v1")
    boxes = [
        Toolbox(submissions, n, Workspace(tmp_path / n / "room"), tmp_path / n / "calls.jsonl") for n in ("ada", "bob")
    ]
    assert json.loads(boxes[0].ask_oracle(["-k", "2"], "1 2 +"))["exit_code"] == 0
    assert [(q.author, q.bytes) for q in submissions.accounts.queried] == [("ada", 0)]
    assert "error" in json.loads(boxes[0].ask_oracle(["\u20ac"]))
    assert len(submissions.accounts.queried) == 1
    submissions.accounts.query(Queried("ada", public_brief.ANSWER_BYTES, 0.0))
    assert "author ada has had 4194304 bytes of answers" in boxes[0].ask_oracle([])
    assert json.loads(boxes[1].ask_oracle([]))["queries_left"] == public_brief.QUERIES - 2


def test_everybody_is_told_one_error(submissions, tmp_path):
    """For one candidate on the same draws, `submit`, `evaluate`, the leaderboard and an exported task say one value and
    one ±, and that it is the standard error."""
    folder = tmp_path / "ada" / "room"
    workspace = Workspace(folder)
    for name, data in coin(0.09).tree.files.items():
        workspace.write(f"candidate/{name}", data)
    workspace.write("candidate/params.json", json.dumps(coin(0.09).params).encode())
    e = ratio(submissions.evaluate(coin(0.09), "bob").scores, *submissions.practice.anchors)
    box = Toolbox(submissions, "ada", workspace, tmp_path / "ada" / "calls.jsonl")
    value, short = f"{e.value:.4f} ± {e.se:.4f}", f"{e.value:.3f} ± {e.se:.3f} (standard error)"
    assert f"dev {value} (standard error) over" in box.evaluate()
    assert value in box.leaderboard()
    assert f"dev {value} (standard error) over" in practised(
        registry.load("testing/coin-v1"), workspace, "candidate", 3
    )
    told = submit("testing/coin-v1", folder / "candidate", None, 3, lambda: Choice("linux-landlock"), lambda *_: None)
    assert short in text.submission(msgspec.to_builtins(told))
