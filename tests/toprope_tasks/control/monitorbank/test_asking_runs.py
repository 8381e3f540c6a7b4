"""Runs whose candidates ask a model through real provider code: metered, capped, resumed, verified without a key."""

import os
import signal
import time
from pathlib import Path

import msgspec
import pytest

from toprope.journal.ledger import SqliteLedger, read_entries
from toprope.journal.reading import read
from toprope.journal.records import record

TASK = "testing/asking-v1"
MODEL = ("--candidate-model", "openai-api/local/m")


def climb(cli, run, *more, expect=0):
    args = ("climb", TASK, "--run", run, "--rehearsal-secret", "x", *MODEL, *more)
    return cli.json(*args, expect=expect)


def replies(run):
    return [record(e) for e in read_entries(run) if e.kind == "reply"]


@pytest.mark.slow
def test_a_run_is_metered_and_verified_without_a_key(cli, tmp_path, oracle, monkeypatch):
    run, oracle.moody = tmp_path / "run", True  # what is asked in practice and on hidden draws is answered twice
    climb(cli, run, "--experiments", 24, "--workers", 2)
    assert read(run).asked, "an attempt was made"
    hidden = len(oracle.asked) - len(replies(run))
    assert hidden > 0, "the hub asked too, and what it heard is not in the ledger"
    before = len(oracle.asked)
    result = cli.json("unseal", run, "--report")
    history = read(run)
    assert len(history.test.replies) == hidden + len(oracle.asked) - before
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
    assert {r.key for r in replies(run)} & {r.key for r in history.test.replies}
    assert len(oracle.asked) == said["replies"]
    forged = cli.json("verify", rewritten(run, tmp_path / "lost", "lost"), expect=1)
    assert not forged["ok"]
    assert forged["chain_ok"]


@pytest.mark.slow
def test_a_ledger_rewritten_with_a_chain_that_holds_still_answers_for_its_replies(cli, tmp_path, oracle, monkeypatch):
    run = tmp_path / "run"
    climb(cli, run, "--experiments", 24, "--unseal")
    monkeypatch.delenv("LOCAL_BASE_URL")
    made_up = cli.json("verify", rewritten(run, tmp_path / "hidden", "hidden"), expect=1)
    assert [c["name"] for c in made_up["checks"] if c["ok"] is False][-1] == "model"
    monkeypatch.setenv("TOPROPE_VAULT", str(tmp_path / "another"))
    stranger = {c["name"]: c for c in cli.json("verify", run)["checks"]}["model"]
    assert (stranger["ok"], stranger["why"][:15]) == (None, "cannot be said:")
    forged = cli.json("verify", rewritten(run, tmp_path / "altered", "altered"), expect=1)
    assert not forged["ok"]
    assert forged["chain_ok"]


def rewritten(run, folder, change):
    folder.mkdir()
    other = SqliteLedger(folder / "ledger.db", create=True)
    for entry in read_entries(run):
        body = record(entry)
        if entry.kind == "reply" and change == "lost":
            continue
        if entry.kind == "reply":
            body = msgspec.structs.replace(body, text="0.5")
        if entry.kind == "test" and change == "hidden":
            body = msgspec.structs.replace(body, replies=[*body.replies, body.replies[0]])  # and no replay uses it
        other.append(body)
    other.close()
    return folder


@pytest.mark.slow
def test_a_cap_ends_the_climb_and_more_continues_it(cli, tmp_path, oracle):
    run = tmp_path / "run"
    done = cli.run("climb", TASK, "--run", run, "--rehearsal-secret", "x", *MODEL, "--experiments", 24,
                   "--candidate-tokens", 2_000, "--json")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "at most 16 questions an experiment, 192 an attempt; at most 2,000 tokens, and as many hidden" in done.stderr
    assert "candidates have used" in done.stderr
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
    assert oracle.key in done.stderr, "the operator is told in the provider's own words"
    assert oracle.key not in last
    oracle.down = 0
    assert cli.json("resume", run)["experiments"] == 24
    assert read(run).failures() == {}
    assert not [p for p in tmp_path.rglob("*") if p.is_file() and oracle.key.encode() in p.read_bytes()]


@pytest.mark.slow
def test_an_outage_while_the_test_is_opened_tells_nothing_and_loses_nothing(cli, tmp_path, oracle):
    run = tmp_path / "run"
    climb(cli, run, "--experiments", 8)
    asked, oracle.down = len(oracle.asked), 400
    done = cli.run("unseal", run)
    assert done.returncode == 2
    assert "gave no answer" in done.stderr
    for words in (oracle.key, "nonce", "effort"):
        assert words not in done.stderr, "what was asked about a hidden draw"
    oracle.down = 0
    assert cli.json("unseal", run)["test"]
    assert len(oracle.asked) > asked
    assert cli.json("verify", run)["ok"]


@pytest.mark.slow
def test_a_question_that_no_provider_takes_costs_its_candidate_only(cli, tmp_path, oracle, monkeypatch):
    run = tmp_path / "run"
    oracle.down, oracle.picky = 400, "effort 7"
    climb(cli, run, "--experiments", 40)
    history = read(run)
    made, (_, failed) = history.candidates(), history.dev_scores()
    assert failed
    assert {made[e].params["effort"] for e in failed} == {7}
    cli.json("unseal", run)
    monkeypatch.delenv("LOCAL_BASE_URL")
    assert cli.json("verify", run)["ok"]


@pytest.mark.slow
def test_a_kill_in_the_middle_of_a_question_loses_nothing_recorded(cli, tmp_path, oracle):
    """kill -9 of the run process, of a hub and of a scorer, each while a question is under way."""
    run = tmp_path / "run"
    oracle.slow_s = 0.2
    process = cli.start("climb", TASK, "--run", run, "--rehearsal-secret", "x", *MODEL, "--experiments", 16)
    wait_until(lambda: len(oracle.asked) >= 5)
    process.kill()
    process.communicate()
    before = replies(run)
    assert before
    process = cli.start("resume", run, "--workers", 2)
    for module, after in (("scorer", 10), ("hub", 20)):
        wait_until(lambda after=after: len(oracle.asked) >= after)
        victim = min(pids_below(process.pid, f"toprope.referee.{module}"))
        os.kill(victim, signal.SIGKILL)
    oracle.slow_s = 0.0
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert replies(run)[: len(before)] == before
    assert len({r.key for r in replies(run)}) == len(replies(run))
    assert cli.json("unseal", run)["experiments"] == 16
    assert cli.json("verify", run)["ok"]


def wait_until(true, seconds=120):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "in vain"
        time.sleep(0.02)


def pids_below(root, module):
    """Processes of this module among the children of a process and theirs."""
    found = []
    for pid in [int(p.name) for p in Path("/proc").iterdir() if p.name.isdigit()]:
        try:
            line = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            parent = int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
        except OSError:
            continue
        if module.encode() in line and parent == root:
            found.append(pid)
    return found


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
    asking = (*MODEL, "--experiments", 20, "--unseal")
    result = cli.json("climb", "control/monitor-bank-v1", "--run", run, *asking, timeout=1200)
    assert result["model"]["replies"] == len(oracle.asked)
    asked = len(oracle.asked)
    monkeypatch.delenv("LOCAL_BASE_URL")
    assert cli.json("verify", run, timeout=1200)["ok"]
    assert len(oracle.asked) == asked


@pytest.mark.slow
def test_clients_of_a_service_share_one_purse(cli, tmp_path, oracle):
    """A client can begin as many runs as it likes, so what the operator pays for is counted over all of them."""
    address, total_token_cap = f"unix:{tmp_path / 'socket'}", 500
    mine = ("--listen", address, "--vault", tmp_path / "theirs", "--workers", 2, *MODEL)
    unbounded = cli.run("referee", *mine)
    assert unbounded.returncode == 2
    assert "--candidate-tokens" in unbounded.stderr
    service = cli.start("referee", *mine, "--candidate-tokens", total_token_cap)
    assert service.stderr.readline().startswith("referee at")
    dev = 0
    for name in ("one", "two", "three"):
        cli.json("climb", TASK, "--run", tmp_path / name, *MODEL, "--referee", address, "--experiments", 16)
        dev += len(replies(tmp_path / name))
        hidden = 120 * (len(oracle.asked) - dev)
        assert 0 < hidden <= total_token_cap
    assert hidden > total_token_cap - 120, "each of the runs alone would have stayed below"
    service.send_signal(signal.SIGINT)
    assert "used up the tokens" not in service.communicate()[1]
