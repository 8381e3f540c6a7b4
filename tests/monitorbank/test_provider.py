"""Runs whose candidates ask a model through real provider code: metered, capped, resumed, verified without a key."""

import msgspec
import pytest

from toprope.run.ledger import SqliteLedger, read_entries
from toprope.run.records import record
from toprope.run.story import read

TASK = "testing/asking-v1"
MODEL = ("--candidate-model", "openai-api/local/m")


def climb(cli, run, *more, expect=0):
    args = ("climb", TASK, "--run", run, "--rehearsal-secret", "x", *MODEL, *more)
    return cli.json(*args, expect=expect)


def replies(run):
    return [record(e) for e in read_entries(run) if e.kind == "reply"]


def test_a_run_is_metered_and_verified_without_a_key(cli, tmp_path, oracle, monkeypatch):
    run = tmp_path / "run"
    climb(cli, run, "--experiments", 24, "--workers", 2)
    assert read(run).asked, "an attempt was made"
    hidden = len(oracle.asked) - len(replies(run))
    assert hidden > 0, "the hub asked too, and what it heard is not in the ledger"
    before = len(oracle.asked)
    result = cli.json("unseal", run, "--report")
    story = read(run)
    assert len(story.test.replies) == hidden + len(oracle.asked) - before
    said = result["model"]
    assert said["name"] == "openai-api/local/m"
    assert said["replies"] == len(oracle.asked)
    assert said["tokens"] == 120 * said["replies"]
    assert "candidates asked openai-api/local/m" in (run / "report.html").read_text().lower()
    monkeypatch.delenv("LOCAL_API_KEY")
    monkeypatch.delenv("LOCAL_BASE_URL")
    verified = cli.json("verify", run)
    assert verified["ok"], verified["checks"]
    assert (verified["dev_reproduced"], verified["champion_reproduced"]) == (True, True)
    assert len(oracle.asked) == said["replies"]
    for change in ("lost", "altered"):  # a ledger rewritten with a chain that holds still answers for its replies
        (tmp_path / change).mkdir()
        forged = cli.json("verify", rewritten(run, tmp_path / change, change), expect=1)
        assert not forged["ok"]
        assert forged["chain_ok"]


def rewritten(run, folder, change):
    other = SqliteLedger(folder / "ledger.db", create=True)
    for entry in read_entries(run):
        body = record(entry)
        if entry.kind == "reply" and change == "lost":
            continue
        if entry.kind == "reply":
            body = msgspec.structs.replace(body, text="0.5")
        other.append(entry.kind, body)
    other.close()
    return folder


def test_a_cap_ends_the_climb_and_more_continues_it(cli, tmp_path, oracle):
    run = tmp_path / "run"
    done = cli.run("climb", TASK, "--run", run, "--rehearsal-secret", "x", *MODEL, "--experiments", 24,
                   "--candidate-tokens", 2_000, "--json")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "--candidate-tokens" in done.stderr
    assert 0 < sum(r.tokens for r in replies(run)) <= 2_000
    before = read(run).experiments
    assert before < 24
    after = cli.json("resume", run, "--candidate-tokens", 10**9)
    assert after["experiments"] == 24
    assert len({r.key for r in replies(run)}) == len(replies(run)), "nothing was asked twice"


@pytest.mark.slow
def test_an_outage_is_one_clear_line_and_nobodys_score(cli, tmp_path, oracle):
    run = tmp_path / "run"
    oracle.down = 400
    done = cli.run("climb", TASK, "--run", run, "--rehearsal-secret", "x", *MODEL, "--experiments", 24)
    assert done.returncode == 2
    last = done.stderr.strip().splitlines()[-1]
    assert "openai-api/local/m" in last
    assert "resume" in last
    oracle.down = 0
    assert cli.json("resume", run)["experiments"] == 24
    assert read(run).failures() == {}


@pytest.mark.slow
def test_scorers_ask_side_by_side(cli, tmp_path, oracle):
    oracle.slow_s = 0.05
    cli.json("submit", TASK, starter(tmp_path), *MODEL)
    assert oracle.at_once == 1  # one candidate asks one question after the other
    climb(cli, tmp_path / "run", "--experiments", 16, "--workers", 4)
    assert oracle.at_once > 1


def test_a_task_without_a_model_takes_none(cli, tmp_path):
    done = cli.run("climb", "testing/coin-v1", *MODEL, "--run", tmp_path / "run")
    assert done.returncode == 2
    assert "may ask no model" in done.stderr


def test_a_model_that_is_none_ends_before_anything_is_made(cli, tmp_path):
    done = cli.run("climb", TASK, "--candidate-model", "nobody/m", "--run", tmp_path / "run")
    assert done.returncode == 2
    assert "--candidate-model nobody/m" in done.stderr
    assert not (tmp_path / "run").exists()


def starter(folder):
    from toprope.tasks import registry

    made = folder / "candidate"
    made.mkdir()
    for name, data in registry.load(TASK).starter().files.items():
        (made / name).write_bytes(data)
    (made / "params.json").write_text('{"face": 1, "effort": 3}')
    return made


@pytest.mark.slow
def test_monitors_are_climbed_with_a_model_behind_a_provider(cli, tmp_path, oracle, monkeypatch):
    run = tmp_path / "run"
    result = cli.json("climb", "control/monitor-bank-v1", "--run", run, *MODEL, "--experiments", 40, "--unseal")
    assert result["model"]["replies"] == len(oracle.asked)
    asked = len(oracle.asked)
    monkeypatch.delenv("LOCAL_BASE_URL")
    assert cli.json("verify", run)["ok"]
    assert len(oracle.asked) == asked
