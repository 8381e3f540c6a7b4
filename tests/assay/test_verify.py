"""`toprope verify` believes a run that is what it says, and none that was changed, chain made anew or not."""

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from toprope import seeding, wire
from toprope.assay.verify import ReplayCheck, _report, verify
from toprope.journal import page
from toprope.journal.checks import contradictions
from toprope.journal.ledger import GENESIS, entry_hash, read_entries
from toprope.journal.reading import from_entries
from toprope.journal.records import record
from toprope.types import Candidate, Incident
from toprope.view.report import render

pytestmark = pytest.mark.e2e

COIN = "testing/coin-v1"
Change = Callable[[str, Any], Any]  # kind, record -> the record to hold instead, or None to leave it out


@pytest.fixture
def run(finished, tmp_path) -> Path:
    base, _ = finished
    answers = [record(e) for e in read_entries(base / "run") if e.kind == "answer"]
    assert {a.promoted for a in answers} == {True, False}
    shutil.copytree(base, tmp_path / "copy")
    return tmp_path / "copy" / "run"


def check(run: Path, vault: bool = False) -> dict[str, Any]:
    """verify without the author's vault, as a stranger would; vault: with it."""
    where = run.parent / ("vault" if vault else "no vault")
    return msgspec.to_builtins(verify(run, None, "linux-landlock", 1, where, render, lambda *_: None))


def forge(run: Path, change: Change) -> None:
    """Every record through `change`, and the whole chain made anew: what an author who wants to deceive would do."""
    records = [(e.kind, change(e.kind, record(e))) for e in read_entries(run)]
    head = GENESIS
    with closing(sqlite3.connect(run / "ledger.db", isolation_level=None)) as db:
        db.execute("DELETE FROM entries")
        for seq, (kind, body) in enumerate((k, wire.encode(r)) for k, r in records if r is not None):
            head = entry_hash(head, seq, kind, body)
            db.execute("INSERT INTO entries VALUES (?,?,?,?)", (seq, kind, body, bytes.fromhex(head)))
    (run / "report.html").unlink()


def only(kind: str, **values: Any) -> Change:
    """Replaces fields of every record of the kind; a callable gets the old value."""

    def change(of: str, r: Any) -> Any:
        if of != kind:
            return r
        return msgspec.structs.replace(r, **{k: v(getattr(r, k)) if callable(v) else v for k, v in values.items()})

    return change


def higher(e: Any) -> Any:
    return e and msgspec.structs.replace(e, value=e.value + 0.01)


def test_an_honest_run_is_what_it_says(cli, run, monkeypatch):
    """Everything is reproduced, with the vault's memory of the ledger's head; the contract's fields are there."""
    monkeypatch.setenv("TOPROPE_VAULT", str(run.parent / "vault"))
    result = cli.json("verify", run, "--workers", 1)
    names = ["ok", "chain_ok", "revealed_ok", "champion_reproduced", "gate_reproduced", "dev_reproduced", "report_ok"]
    assert {n: result[n] for n in names} == dict.fromkeys(names, True)
    assert all(c["ok"] for c in result["checks"])
    assert result["recorded"] == result["replayed"]


def test_a_stranger_can_verify(run):
    """Without the vault nothing differs either; what only the vault knows is left open."""
    result = check(run)
    assert result["ok"]
    assert {c["name"]: c["ok"] for c in result["checks"]}["vault"] is None


def test_an_edited_entry_breaks_the_chain(cli, run):
    """Exit 1, chain_ok false, and nothing is run."""
    with closing(sqlite3.connect(run / "ledger.db", isolation_level=None)) as db:
        db.execute(
            "UPDATE entries SET body = CAST(substr(body, 1, length(body) - 1) || x'00' AS BLOB) WHERE kind = 'test'"
        )
    result = cli.json("verify", run, expect=1)
    assert (result["ok"], result["chain_ok"], result["champion_reproduced"]) == (False, False, None)
    assert "was edited" in result["checks"][0]["why"]


def test_a_report_edited_by_hand_fails(cli, run):
    """One digit is enough, in what it shows; the run itself is said to be what it says."""
    html = (run / "report.html").read_text()
    at = html.index('<div class="value">') + len('<div class="value">0.')
    (run / "report.html").write_text(html[:at] + ("8" if html[at] != "8" else "9") + html[at + 1 :])
    done = cli.run("verify", run, "--workers", 1)
    assert done.returncode == 1
    assert done.stdout.rstrip().endswith("this run is what it says; its report is not")


def paged(run: Path, **changes: str) -> ReplayCheck:
    """What is said of the run's page after each word in it was replaced by another."""
    path = run / "report.html"
    html = path.read_text()
    for old, new in changes.items():
        assert old in html
        html = html.replace(old, new)
    path.write_text(html)
    entries = read_entries(run)
    return _report(entries, from_entries(str(run), entries), None, path, render)


@pytest.mark.parametrize(
    ("old", "new", "ok", "words"),
    [
        ("<style>", "<style>/* another */", True, "in another style"),
        ('"seed": 2', '"seed": 3', False, "its data differ: seed"),
        ('"promotions": ', '"promotions": 1', False, "its data differ: promotions"),
        ('"task": "testing/coin-v1"', '"task": "w2s/probe-v1"', False, "its data differ: task"),
        ('{"toprope": "', '{"toprope": "98.', True, "toprope 98."),
        ('id="toprope"', 'id="other"', False, "it holds no data"),
        ("</main>", '<script type="application/json" id="toprope">{}</script></main>', False, "data twice"),
        ("seed 2 ·", "seed 3 ·", False, "what it shows is something else"),
    ],
)
def test_a_page_is_held_to_its_data(run, old, new, ok, words):
    """Its data must be the ledger's; a style sheet or another version's looks make no run a forgery."""
    found = paged(run, **{old: new})
    assert (found.ok, words in found.why) == (ok, True), found


def test_a_page_of_an_earlier_entry_is_stale_and_no_forgery(run):
    """A page from before the test was opened is compared with the ledger as it was then, and is written anew later."""
    entries = read_entries(run)
    early = from_entries(str(run), entries[:-2])
    (run / "report.html").write_text(render(early))
    found = paged(run)
    assert (found.ok, found.why.endswith(f"stale: written at entry {len(entries) - 2} of {len(entries)}")) == (
        True,
        True,
    )
    assert paged(run, **{'"experiments": ': '"experiments": 1'}).ok is False, "its figures are checked all the same"


def test_a_page_of_a_version_without_data_is_left_open(run):
    """Runs of format 1 have pages that hold none; a run of today that lost them is refused above."""
    old = paged(run)
    assert old.ok
    entries = read_entries(run)
    history = from_entries(str(run), entries)
    history.opening = msgspec.structs.replace(history.opening, format=1)
    (run / "report.html").write_text(page.visible(render(history)))
    assert _report(entries, history, None, run / "report.html", render).ok is None


@pytest.mark.slow
def test_opening_the_test_writes_the_page_anew(cli, tmp_path, monkeypatch):
    """`climb --report`, then `unseal`: the page that is there tells the run as it stands."""
    monkeypatch.setenv("TOPROPE_VAULT", str(tmp_path / "vault"))
    run = tmp_path / "run"
    cli.json("climb", COIN, "--experiments", 5, "--workers", 1, "--run", run, "--report")
    before = page.claimed((run / "report.html").read_text())
    assert before is not None and before["test"] is None
    cli.json("unseal", run, "--workers", 1)
    after = page.claimed((run / "report.html").read_text())
    assert after is not None and after["test"] is not None
    assert cli.json("verify", run, "--workers", 1)["report_ok"] is True


def accuse_the_first(incidents: list[Incident]) -> Change:
    """The only attempt was refused, and these incidents are what the hub saw on hidden draws."""
    first: list[str] = []
    starter: list[str] = []

    def change(kind: str, r: Any) -> Any:
        if kind in ("attempt", "answer", "audit") and first:
            return None
        if kind == "answer":
            first.append(r.candidate)
            return msgspec.structs.replace(r, promoted=False, measured=None)
        if kind == "open":
            starter.append(Candidate(r.tree, r.space.decode(r.space.default())).id)
        if kind == "commit":
            return msgspec.structs.replace(r, candidate=starter[0])
        if kind == "test":
            refused = msgspec.structs.replace(r.gate[0], promoted=False)
            return msgspec.structs.replace(r, gate=[refused], incidents=dict.fromkeys(first, incidents))
        return r

    return change


@pytest.mark.parametrize(
    ("severity", "ok"), [pytest.param("certain", True, marks=pytest.mark.slow), ("advisory", False)]
)
def test_a_refusal_for_proof_of_cheating_is_no_mismatch(run, severity, ok):
    """The decoys died with the run, so judging again says PROMOTE: only a certain incident explains the refusal."""
    forge(run, accuse_the_first([Incident("decoy gold", severity, "seen on hidden draws")]))
    checks = {c["name"]: c for c in check(run)["checks"]}
    assert "gate" in checks, checks
    gate = checks["gate"]
    assert gate["ok"] is ok, gate["why"]


def test_candidates_kept_from_the_gate_have_no_answer(run):
    """Any number of candidates that are caught in their isolated re-run are recorded and never sent."""
    entries = read_entries(run)
    history = from_entries(str(run), entries)
    caught = [Incident("decoy switch", "certain", "TOPROPE_SKIP_CHECKS was set")]
    tree = history.opening.tree
    history.asked += [
        msgspec.structs.replace(history.asked[0], candidate=Candidate(tree, {"n": n}), incidents=caught)
        for n in range(3)
    ]
    assert not list(contradictions(entries, history))


def promote_all(kind: str, r: Any) -> Any:
    """Every refusal an answer that promotes, at the same figures."""
    if kind == "answer" and not r.promoted:
        return msgspec.structs.replace(r, promoted=True)
    return r


def better_dev(kind: str, r: Any) -> Any:
    """All dev scores a little higher, and everything that follows from them."""
    if kind == "block":
        return msgspec.structs.replace(r, scores=r.scores + np.float32(0.0625))
    if kind == "open":
        return msgspec.structs.replace(r, floors=r.floors + 0.0625, ceilings=r.ceilings + 0.0625)
    return r


def other_secret(kind: str, r: Any) -> Any:
    """A secret that suits the author better, with its own commitment."""
    secret = seeding.run_secret("chosen")
    if kind == "open":
        return msgspec.structs.replace(r, commitment=seeding.commitment(secret))
    return msgspec.structs.replace(r, secret=secret) if kind == "test" else r


def fewer_attempts(kind: str, r: Any) -> Any:
    """The refusals left out, as if every attempt had been a promotion."""
    if kind == "test":
        return msgspec.structs.replace(r, gate=[v for v in r.gate if v.promoted])
    return None if kind == "answer" and not r.promoted else r


def stronger_evidence(kind: str, r: Any) -> Any:
    if kind != "test":
        return r
    return msgspec.structs.replace(r, gate=[msgspec.structs.replace(v, log_e=v.log_e + 1) for v in r.gate])


SLOW = pytest.mark.slow
FORGERIES = {
    "a higher test result": (only("test", champion=higher), "test"),
    "a higher measurement": (only("answer", measured=higher), "measured"),
    "a refusal made a promotion": (promote_all, "chain"),
    "attempts left out": (fewer_attempts, "chain"),
    "better practice scores": (better_dev, "dev"),
    "another secret": (other_secret, "gate"),
    "a secret that was not committed to": (only("test", secret=b"x" * 32), "chain"),
    "a weaker baseline": (
        only("test", baselines=lambda d: {k: msgspec.structs.replace(e, value=e.value - 0.1) for k, e in d.items()}),
        "test",
    ),
    "a baseline left out": (only("test", baselines={}, gains={}), "test"),
    "an earlier run of the vault": (only("open", number=9), "gate"),
    "stronger evidence": (stronger_evidence, "gate"),
    "more openings than one at level one": (only("test", opening=2), "test"),
    "another champion": (only("commit", candidate="0" * 64), "chain"),
    "a climb after its commitment": (lambda k, r: None if k == "sitting" else r, "chain"),
    "a better generation": (only("generation", best=0.99), "chain"),
}
QUICK = {"a higher test result", "a refusal made a promotion", "another champion", "a better generation"}


@pytest.mark.parametrize("name", [n if n in QUICK else pytest.param(n, marks=SLOW) for n in FORGERIES])
def test_a_forged_ledger_fails(run, name):
    """The chain is made anew around the change, so that it holds; the check that the change touches fails."""
    change, fails = FORGERIES[name]
    forge(run, change)
    result = check(run)
    assert not result["ok"]
    assert {c["name"]: c["ok"] for c in result["checks"]}[fails] is False, result["checks"]


@pytest.mark.slow
def test_a_ledger_forged_before_its_commitment_is_not_the_one_the_vault_saw(run):
    """Even where every replay agreed, the vault beside it remembers another head."""
    forge(run, only("open", started=1.0))
    result = check(run, vault=True)
    assert [c["name"] for c in result["checks"] if c["ok"] is False] == ["vault"]


def test_a_run_that_is_still_sealed(run):
    """What needs the secret is said to be open; the rest is checked; nothing fails."""
    forge(run, lambda kind, r: None if kind in ("commit", "test") else r)
    result = check(run)
    assert result["ok"]
    assert [c["name"] for c in result["checks"] if c["ok"] is None] == [
        "vault", "revealed", "gate", "measured", "test", "report",
    ]  # fmt: skip
    assert (result["revealed_ok"], result["champion_reproduced"], result["recorded"]) == (None, None, None)


def test_no_run_is_bad_input(cli, tmp_path):
    """A directory without a run is exit 2, not a mismatch."""
    done = cli.run("verify", tmp_path / "nowhere")
    assert done.returncode == 2
    assert "ledger.db is missing" in done.stderr
