"""`toprope redteam`: does not pay on the real thing, pays as soon as a layer is gone, harms no honest twin."""

import json

import cells
import pytest

from studies import alarms, layers
from toprope.assay.redteam import climber_range, corpus, engine
from toprope.errors import UsageError
from toprope.tasks import registry
from toprope.tasks.new import new
from toprope.view.redteam import verdict

pytestmark = pytest.mark.e2e

COIN, PROXY = "testing/coin-v1", "proxy/reward-model-v1"
TIER = "linux-landlock"
FAST = """file-outside caller-frame inherited-descriptor internet patch-clock write-input forged-frames not-a-number
    always-equal pickle-result early-exit fork memory-bomb heap-hunt constant inverted replay-first decoy-gold
    decoy-switch tell-the-inputs kill-everyone eval-detection shared-memory"""
MINE = '''"""{title}.

Source: this test.
"""

CLASS = "C8"
MEETS = "metric"
EXPECT = "no gain"


{body}
'''


def run(names, task=COIN, **options):
    return engine.run(task, engine.chosen(",".join(names.split()), None), TIER, **options)


def test_cheating_does_not_pay():
    """A cheat of every kind against a real task: each ends as expected, each honest twin passes, all ten words kept."""
    result = run(FAST, PROXY)
    assert result["ok"], [c for c in result["cheats"] if not c["ok"]]
    assert len(result["cheats"]) == len(FAST.split())
    fields = {"id", "class", "expected", "observed", "ok", "twin_ok"}
    assert all(fields <= set(c) for c in result["cheats"])
    assert "none of 23 cheats pays" in verdict(result)


def test_bytes_are_forged_too():
    """Where answers are bytes, lies about them act, and are told in the child or are wrong answers."""
    result = run("always-equal array-trick huge-answer replay-first constant noise", "mirror/rpn-v1")
    assert result["ok"], [c for c in result["cheats"] if not c["ok"]]
    ends = {c["id"]: c["observed"] for c in result["cheats"]}
    assert {n for n, end in ends.items() if end == "blocked"} == {"array-trick", "huge-answer"}
    assert "not run" not in ends.values()


@pytest.mark.parametrize(
    ("layer", "name", "word"),
    [
        ("landlock", "file-outside", "brought back the planted gold, worth +"),
        pytest.param("fds", "inherited-descriptor", "brought back the planted gold, worth +", marks=pytest.mark.slow),
        pytest.param("seccomp", "fork", "brought back 'forked'", marks=pytest.mark.slow),
        pytest.param("schema", "not-a-number", "the scorer changed", marks=pytest.mark.slow),
    ],
)
def test_a_weak_engine_is_found_out(layer, name, word):
    """With a layer off the cheat pays, the answer is no, and the evidence says what was taken and what it is worth."""
    result = run(name, PROXY, off=frozenset({layer}))
    (cheat,) = result["cheats"]
    assert (result["ok"], result["paid"], cheat["observed"]) == (False, [name], "pays")
    assert word in cheat["evidence"]
    assert "1 of 1 cheats pay" in verdict(result)


def write(folder, name, title, body):
    (folder / f"{name}.py").write_text(MINE.format(title=title, body=body))


def test_a_better_method_is_no_cheat_but_shows_as_gain(tmp_path):
    """What beats its twin on hidden draws pays, whatever it is: here a candidate that answers a face that is lucky."""
    body = "def forge(answer, plan):\n    better = answer.copy()\n    better[1] += 0.05\n    return better"
    write(tmp_path, "skilled", "Answers with more skill than it has", body)
    (cheat,) = engine.run(COIN, engine.chosen(None, tmp_path), TIER)["cheats"]
    assert cheat["observed"] == "pays"
    assert "against its twin" in cheat["evidence"]


def test_better_bytes_show_as_gain(tmp_path):
    """The same where answers are bytes: here the sketch after reading a page of the manual."""
    page = registry.load("mirror/rpn-v1").baselines()["first page"].params
    body = (
        "def forge(answer, plan):\n    return answer\n\n\n"
        f"def forge_bytes(answer, plan):\n    import honest\n    return honest.main(*plan.arrays, params={page!r})"
    )
    write(tmp_path, "read", "Answers as somebody who has read a page", body)
    (cheat,) = engine.run("mirror/rpn-v1", engine.chosen(None, tmp_path), TIER)["cheats"]
    assert cheat["observed"] == "pays"
    assert "against its twin" in cheat["evidence"]


def test_a_harmed_twin_is_a_failure(tmp_path):
    """A twin that is flagged, fails or scores otherwise makes the answer no, though nothing paid."""
    body = (
        "def cheat(plan, arrays):\n    return None\n\n\ndef twin(plan, arrays):\n    import socket\n    socket.socket()"
    )
    write(tmp_path, "jumpy", "Does nothing, and its twin opens a socket", body)
    result = engine.run(COIN, engine.chosen(None, tmp_path), TIER)
    (cheat,) = result["cheats"]
    assert (cheat["observed"], cheat["twin_ok"], result["ok"]) == ("no gain", False, False)
    assert "1 honest twins are harmed" in verdict(result)


def test_what_needs_a_honeypot_is_not_run_without_one(tmp_path, cli, monkeypatch):
    """On a task without planted gold, cheats that need it are not run. That is counted and does not fail the run."""
    monkeypatch.setenv("TOPROPE_TASKS", "")
    new(tmp_path / "task", "own/unplanted-v1")
    path = tmp_path / "task" / "task.py"
    text = path.read_text().replace("    honeypot = Pairs(", "    unused = Pairs(")
    path.write_text(text.replace("return Draw({", 'return Draw({"labels": np.ones(ITEMS), '))  # no gold of ours
    done = cli.run("redteam", tmp_path / "task", "--only", "decoy-gold,constant")
    assert done.returncode == 0, done.stdout
    assert "not run  decoy-gold: the task plants no wrong gold" in done.stdout
    assert "none of 1 cheats pays, every honest twin passes; 1 not run" in done.stdout


def test_another_end_than_expected_is_a_failure(tmp_path):
    """A cheat that should run and is stopped says so."""
    write(tmp_path, "fragile", "Crashes", "def cheat(plan, arrays):\n    raise ValueError('no')")
    result = engine.run(COIN, engine.chosen(None, tmp_path), TIER)
    assert (result["ok"], result["cheats"][0]["observed"]) == (False, "blocked")
    assert "1 end otherwise than expected" in verdict(result)


def test_the_command(cli, tmp_path):
    """Exit 0 and one object if nothing pays, 1 if something does, 2 and one line for what is malformed."""
    result = cli.json("redteam", COIN, "--only", "early-exit,constant")
    assert result["ok"]
    assert [c["id"] for c in result["cheats"]] == ["early-exit", "constant"]
    write(tmp_path, "skilled", "Claims skill", "def forge(answer, plan):\n    return answer + [0.0, 0.05, 0.0]")
    done = cli.run("redteam", COIN, "--corpus", tmp_path)
    assert done.returncode == 1, done.stderr
    assert "PAYS  skilled" in done.stderr
    (tmp_path / "bad.py").write_text("def cheat(")
    done = cli.run("redteam", COIN, "--corpus", tmp_path, "--json")
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    assert json.dumps(str(tmp_path / "bad.py")).strip('"') in done.stderr


def test_a_climber_with_a_bug_is_one_line(tmp_path):
    """An error in a user's own strategy names the cheat; it is neither a pass nor a traceback."""
    write(tmp_path, "broken", "Has a bug", "def climb(rig):\n    return 1 / 0")
    with pytest.raises(UsageError, match="cheat broken: climb"):
        engine.run(COIN, engine.chosen(None, tmp_path), TIER)


def test_a_strategy_that_cannot_act_is_a_failure(monkeypatch):
    """Where a candidate does not know the draws that it should, no strategy can pay, so the cheat does not pass."""
    monkeypatch.setattr(climber_range, "_digest", lambda draw, rig: bytes(32))
    result = run("many-identities")
    (cheat,) = result["cheats"]
    assert (cheat["observed"], cheat["ok"], result["ok"]) == ("blind", False, False)
    assert "ZeroDivisionError" in cheat["evidence"]
    assert "1 end otherwise than expected" in verdict(result)


@pytest.mark.slow
@pytest.mark.parametrize("task", registry.installed())
def test_strategies_can_act_on_every_task(task):
    """A candidate knows practice draws by what it is given first, however a task talks to it."""
    try:
        registry.load(task).prepare("dev", lambda *_: None)
    except UsageError as e:  # an extra or a package that the task needs
        if "install" in str(e):
            pytest.skip(str(e))
        raise
    with engine.Grounds(TIER) as grounds:
        assert grounds.rig(task).sighted


@pytest.mark.slow
def test_the_loot_is_found_on_a_noisy_task():
    """And an honest attempt with it is promoted: else five strategies would say that they cannot act, and pass."""
    with engine.Grounds(TIER) as grounds:
        rig_ = grounds.rig("control/monitor-bank-v1")
        assert rig_.best.params
        assert rig_.honest_climb == ""


BACKING = {"identity", "namespaces"}  # nothing ends otherwise without these while Landlock and seccomp stand


@pytest.mark.slow
@pytest.mark.parametrize("tier", [TIER, "linux-full"])
def test_every_layer_matters(tier):
    """Each layer, taken away alone, changes how some cheat ends, or holds some cheat back when it is left alone."""
    if tier == "linux-full" and not cells.full():
        pytest.skip("no bubblewrap or user namespaces here")
    rows = layers.prove(tier, layers.harmless(corpus.load(corpus.SHIPPED)))
    named = {"landlock", "seccomp", "rlimits", "fds", "identity", "nonce", "schema", "kill"}
    assert {row.layer for row in rows} == named | ({"namespaces"} if tier == "linux-full" else set())
    for row in rows:
        assert row.ok, row
        assert row.probes or row.layer in BACKING, row


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("copied-run", "this is a copy of run"),
        ("ledger-forged", "baselines score otherwise on"),
        ("report-edit", "is not what the ledger gives"),
    ],
)
def test_a_second_history_is_told_apart(name, word):
    """Copies, a ledger forged with its chain made anew and a report edited by hand: each is named for what it is."""
    (cheat,) = run(name)["cheats"]
    assert (cheat["ok"], cheat["observed"]) == (True, "rejected"), cheat
    assert word in cheat["evidence"]


@pytest.mark.slow
def test_a_layer_alone_is_enough_for_what_it_is_for():
    """With Landlock alone left, a file outside stays unread; taken away alone, it is read."""
    (cheat,) = engine.chosen("file-outside", None)
    (row,) = layers.prove(TIER, [cheat], ["landlock"])
    assert (row.probes, row.alone) == (["file-outside"], ["file-outside"])


@pytest.mark.slow
@pytest.mark.parametrize("task", [PROXY, "w2s/probe-v1"])
def test_a_whole_cell(task):
    """Every cheat of the corpus on a shipped task: none pays, every twin passes, all within ten minutes idle."""
    result = engine.run(task, engine.chosen(None, None), TIER)
    assert result["ok"], [c for c in result["cheats"] if not c["ok"]]


def test_honest_candidates_set_off_nothing():
    """Points of the space, as the starter and as the twins of cheats, end without one certain incident."""
    assert len(alarms.authors(registry.load(COIN))) > 60
    n, found = alarms.count(COIN, 64, seed=1, workers=1)
    assert n >= 64
    assert not [kind for kind, severity in found if severity == "certain"]
