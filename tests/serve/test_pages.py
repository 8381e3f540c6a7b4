"""What the pages say of runs, and how they follow them."""

import asyncio
import contextlib
import time

import msgspec
import numpy as np
import pytest
from asking import Client, sound, written

from toprope.journal import checkpoint
from toprope.journal.ledger import SqliteLedger
from toprope.journal.records import Generation
from toprope.journal.spec import Plan, Researchers
from toprope.serve import answers, importance, live
from toprope.serve import shelf as shelves
from toprope.serve.app import make
from toprope.serve.book import Book
from toprope.serve.pages.listing import ranked
from toprope.serve.shelf import Row, Shelf
from toprope.serve.site import Site
from toprope.space import Space, choice, linear
from toprope.stats.intervals import Estimate


def test_the_list_sorts_filters_and_shares_its_state_in_the_address(client):
    """What the address says is what is shown."""
    html = client.get("/?sort=run").text
    assert html.index("/runs/done") < html.index("/runs/open")
    assert "/runs/open" not in client.get("/?state=unsealed").text
    assert "/runs/done" not in client.get("/?q=ope").text
    assert "0 of 2 runs" in client.get("/?task=other").text


def test_a_run_page_answers_four_questions_first(client):
    """Each is a heading, before the figure."""
    html = client.get("/runs/done").text
    at = [html.index(q) for q in ("Is it real?", "What did it cost?", "What was tried?", "What failed, and why?")]
    assert at == sorted(at)
    assert at[-1] < html.index("Dev, measured and sealed")


@pytest.mark.parametrize(
    ("changes", "said", "kind"),
    [
        ({"certifying": True, "rehearsal": None}, "0.300 [0.200, 0.400] on 64 sealed draws, opened once", "good"),
        ({"certifying": False}, "0.300 [0.200, 0.400]", ""),
        ({"protection": {"tier": "none"}}, "without a sandbox", "bad"),
    ],
)
def test_whether_it_is_real(changes, said, kind):
    """Green only if it certifies something; never where candidates ran without walls."""
    s = sound()
    spec = {k: changes.pop(k) for k in ("rehearsal",) if k in changes}
    s.opening = msgspec.structs.replace(s.opening, spec=msgspec.structs.replace(s.opening.spec, **spec), **changes)
    found = answers.real(s)
    assert said in found.said
    assert found.kind == kind


def test_before_the_test_nothing_is_called_real():
    assert "sealed test is closed" in answers.real(sound(tested=False)).said
    assert answers.real(sound(tested=False, promoted=False)).said.startswith("Not yet")


def test_dev_measured_and_sealed_share_one_axis(client):
    """The sealed test is in the figure of a run whose test is open, and not in a replay."""
    assert 'class="sealed"' in client.get("/runs/done").text
    assert 'class="sealed"' not in client.get("/runs/open").text.split("figcaption")[0]
    assert 'class="sealed"' not in client.get("/runs/done/replay?until=1").text
    assert "minutes</text>" in client.get("/runs/done?axis=minutes").text


def test_a_page_follows_its_run(client, tmp_path):
    """What another process appends is on the page when it is loaded next."""
    assert ">2 experiments" in client.get("/runs/open").text
    ledger = SqliteLedger(tmp_path / "runs" / "open" / "ledger.db")
    ledger.append(Generation(2, 77, 9.0, 0.5, 1, 0, 0))
    ledger.close()
    assert ">77 experiments" in client.get("/runs/open").text


def test_a_run_that_begins_anew_under_an_old_name_is_shown(client, tmp_path):
    """The ledger that is held open is not mistaken for it."""
    assert client.get("/runs/done").text.count("unsealed") > 0
    (tmp_path / "runs" / "done").rename(tmp_path / "elsewhere")
    written(tmp_path / "runs" / "done", sound(tested=False, best=(0.1, 0.77)))
    html = client.get("/runs/done").text
    assert "The sealed test is closed" in html


def test_a_run_that_has_only_been_asked_for(client, tmp_path, monkeypatch):
    """While a process holds it, it is starting; afterwards the page says how to begin again."""
    (tmp_path / "runs" / "new").mkdir()
    ledger = SqliteLedger(tmp_path / "runs" / "new" / "ledger.db", create=True)
    ledger.append(sound().opening.spec)
    time.sleep(shelves.FRESH_S)
    assert "about to begin" in client.get("/runs/new").text
    assert "is starting" in client.get("/").text
    ledger.close()
    reply = client.get("/runs/new")
    assert reply.status == 422
    assert "toprope resume" in reply.text


def test_a_change_is_told_to_the_browser(shelf, tmp_path, monkeypatch):
    """One event for one change of the ledger, and none without."""
    monkeypatch.setattr(live, "LOOK_S", 0.05)
    site = Site(shelf)

    async def heard():
        said = []

        async def listen():
            async for words in live._stream(site, "open"):
                said.append(words)

        task = asyncio.create_task(listen())
        await asyncio.sleep(0.4)
        before = len([w for w in said if "changed" in w])
        ledger = SqliteLedger(tmp_path / "runs" / "open" / "ledger.db")
        ledger.append(Generation(2, 77, 9.0, 0.5, 1, 0, 0))
        ledger.close()
        for _ in range(100):
            await asyncio.sleep(0.05)
            if any("changed" in w for w in said):
                break
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        return before, said

    before, said = asyncio.run(heard())
    assert before == 0
    assert any(w.startswith("event: changed\ndata: ") for w in said)


def test_a_large_ledger_is_read_beside_the_page(tmp_path, monkeypatch):
    """The page says so at once, and shows the run when it is read."""
    written(tmp_path / "runs" / "large", sound())
    monkeypatch.setattr(checkpoint, "LARGE", 0)
    monkeypatch.setattr(shelves, "PATIENCE_S", 0.05)
    slow = Book.__init__

    def slowly(self, path):
        time.sleep(0.3)
        slow(self, path)

    monkeypatch.setattr(Book, "__init__", slowly)
    with contextlib.closing(Shelf(tmp_path / "runs")) as shelf:
        client = Client(make(shelf)).enter()
        assert "is being read" in client.get("/runs/large").text
        time.sleep(0.5)
        assert "Is it real?" in client.get("/runs/large").text


def test_many_runs_are_listed_without_being_held_open(tmp_path, monkeypatch):
    """All of them appear, and only a few ledgers stay open."""
    monkeypatch.setattr(shelves, "OPEN", 3)
    for i in range(12):
        written(tmp_path / "runs" / f"r{i:02d}", sound())
    with contextlib.closing(Shelf(tmp_path / "runs")) as shelf:
        client = Client(make(shelf)).enter()
        for _ in range(50):
            if all(row.state == "unsealed" for row in shelf.rows()):
                break
            time.sleep(0.05)
        assert client.get("/").text.count("/runs/r") == 12
        for i in range(12):
            assert client.get(f"/runs/r{i:02d}").status == 200
        assert len(shelf._books) == 3


def test_ranks_have_intervals():
    """One better than all that lie wholly above, one worse than all that lie wholly below."""
    e = {"a": (0.9, 0.8, 1.0), "b": (0.7, 0.6, 0.85), "c": (0.3, 0.2, 0.4)}
    rows = [Row(name, "unsealed", sealed=Estimate(*v, 0.1)) for name, v in e.items()]
    found = {p.row.name: (p.first, p.last) for p in ranked([*rows, Row("none", "stopped")])}
    assert found == {"a": (1, 2), "b": (1, 2), "c": (3, 3)}


def test_importance_finds_what_matters_and_little_else():
    """Of values that depend on one parameter, that one; of values that depend on none, none much beyond chance."""
    rng = np.random.default_rng(0)
    space = Space([linear("real", 0, 1, 8, 0), linear("idle", 0, 1, 200, 0), choice("word", ["x", "y"])])
    rows = np.stack([rng.integers(0, k, 2000) for k in (8, 200, 2)], axis=1).astype(np.uint8)
    noise = rng.normal(size=2000)
    found = importance.shares(space, rows, 0.3 * rows[:, 0] + noise)
    assert found[0].name == "real"
    assert found[0].share > 0.2 > 10 * found[0].chance
    assert found[0].best == str(space.dims[0].levels[7])
    beyond = 0
    for seed in range(40):
        values = np.random.default_rng(seed).normal(size=2000)
        beyond += sum(x.share > x.chance for x in importance.shares(space, rows, values, seed))
    assert beyond <= 18  # of 120, 6 expected; 18 or more once in 60,000 times


@pytest.mark.parametrize("task", ["own/unknown-v1", "../../x", "//evil.example/x", "<b>/\\"])
def test_a_run_of_a_task_that_is_not_known_here(tmp_path, task):
    """Its pages show what the ledger holds; the link to the task stays on this server."""
    s = sound()
    s.opening = msgspec.structs.replace(s.opening, spec=msgspec.structs.replace(s.opening.spec, task=task))
    written(tmp_path / "runs" / "other", s)
    with contextlib.closing(Shelf(tmp_path / "runs")) as shelf:
        client = Client(make(shelf)).enter()
        for page in ("", "/experiments", "/experiments/0", "/replay", "/importance"):
            assert client.get(f"/runs/other{page}").status == 200
        html = client.get("/runs/other").text
        assert "names no baselines here" not in html  # its test is open, so they are in the ledger
        assert 'href="/tasks/' in html
        assert client.get("/runs/other/report").status == 422


def test_a_page_that_fails_says_so_and_no_more(client, monkeypatch):
    """Under the policy, like every answer; what raised is named, and what it said is not."""

    def failing(s):
        raise KeyError("<b>hostile")

    monkeypatch.setattr(answers, "cost", failing)
    with pytest.raises(KeyError):  # the server logs it
        client.get("/runs/done")
    sent = []

    async def send(message):
        sent.append(message)

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    with contextlib.suppress(KeyError):
        asyncio.run(client.guard(client.scope("GET", "/runs/done", {}), receive, send))
    assert sent[0]["status"] == 500
    assert b"content-security-policy" in dict(sent[0]["headers"])
    assert b"KeyError" in sent[1]["body"]
    assert b"hostile" not in sent[1]["body"]


def test_what_is_left_is_said(tmp_path):
    """When the first attempt is due; how many an author has; how many promotions the hidden data carry."""
    s = sound(tested=False)
    s.opening = msgspec.structs.replace(s.opening, promotions_left=3)
    assert "The hidden data carry 2 more promotions." in answers.left(s, 64)
    assert answers.left(s, 64)[0].startswith("At most one attempt in 64 experiments")
    s.asked, s.answers = [], []
    assert answers.left(s, 64)[0].startswith("The first attempt is due after 64 experiments")
    spec = msgspec.structs.replace(s.opening.spec, climber=Researchers(Plan("x/y", 2, attempts=8)))
    s.opening = msgspec.structs.replace(s.opening, spec=spec)
    assert "0 of 16 attempts used (8 for each author)." in answers.left(s, 64)


def test_a_forecast_needs_two_barriers():
    """Then it follows from the rate of late; a budget of minutes has its own clock."""
    s = sound(tested=False)
    s.generations = [Generation(i, 1 + 100 * i, 10.0 * i, 0.1, 0, 0, 0) for i in range(10)]
    s.opening = msgspec.structs.replace(s.opening, spec=msgspec.structs.replace(s.opening.spec, experiments=1901))
    assert answers.rate(s) == pytest.approx(10.0)
    assert answers.progress(s).left_s == pytest.approx(100.0)
    s.generations = s.generations[:1]
    assert answers.progress(s).left_s is None
    spec = msgspec.structs.replace(s.opening.spec, experiments=None, minutes=2.0)
    s.opening = msgspec.structs.replace(s.opening, spec=spec)
    assert answers.progress(s).left_s == pytest.approx(120.0)
