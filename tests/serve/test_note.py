"""The form that sends a note to a run's authors, and the pages that show what they were told."""

from urllib.parse import urlencode

import msgspec
import pytest
from asking import Client, sound, written
from histories import EVIL

from toprope.journal.records import NOTE_MAX, Note
from toprope.journal.spec import Plan, Researchers
from toprope.run import notes
from toprope.serve.app import make
from toprope.serve.shelf import Shelf


@pytest.fixture
def live(tmp_path, monkeypatch):
    """A browser before a folder with a climb of two researchers at work, one of whom has a hostile name."""
    s = sound(tested=False)
    spec = msgspec.structs.replace(s.opening.spec, climber=Researchers(Plan("p/m", 2, ["a"])))
    s.opening = msgspec.structs.replace(s.opening, spec=spec)
    run = written(tmp_path / "own" / "live", s, Note(1, "ada", EVIL, "0-a", 1.0, 1))
    for name in ("ada", "b<b>"):
        (run / "researchers" / name / "room").mkdir(parents=True)
    monkeypatch.setattr(notes, "held", lambda _: True)
    shelf = Shelf(tmp_path / "own")
    yield Client(make(shelf)).enter()
    shelf.close()


def form(client, **fields):
    return urlencode({"form": client.guard.form, **fields}).encode()


def test_a_note_is_sent_from_the_page(live, tmp_path):
    """The form is there while somebody climbs; the note waits as a file; the page says so, and shows those recorded."""
    page = live.get("/runs/live").text
    assert all(part in page for part in ("<textarea", "<option>ada</option>", "<option>b&lt;b&gt;</option>"))
    assert "alert(1)" in page
    assert "<script>alert" not in page
    reply = live.post("/runs/live/note", form(live, to="ada", text="try\r\nthis"))
    assert (reply.status, reply.headers["location"]) == (303, "/runs/live?told=note")
    (path,) = notes.waiting(tmp_path / "own" / "live")
    sent = msgspec.json.decode(path.read_bytes(), type=notes.Sent)
    assert (sent.to, sent.text) == ("ada", "try\nthis")
    assert "1 note waits for an author's turn" in live.get("/runs/live?told=note").text


def test_the_longest_note_fits_the_form(live):
    """Whatever its characters: a form writes each as up to twelve bytes."""
    assert live.post("/runs/live/note", form(live, to="", text="\U0001f600" * NOTE_MAX)).status == 303


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"text": ""}, "a note of 0 characters"),
        ({"text": "x", "to": "<b>carl"}, "author &#39;&lt;b&gt;carl&#39; is unk"),
    ],
)
def test_a_note_that_helps_nobody_is_refused_on_a_page(live, fields, why):
    reply = live.post("/runs/live/note", form(live, **fields))
    assert (reply.status, why in reply.text) == (422, True)
    assert "This cannot be done" in reply.text


def test_a_note_needs_the_forms_token(live, tmp_path):
    """As every form; a page of another site cannot help a run."""
    assert live.post("/runs/live/note", b"form=x&text=words").status == 403
    reply = live.post("/runs/live/note", form(live, text="words"), origin="http://evil.example")
    assert reply.status == 403
    assert not notes.waiting(tmp_path / "own" / "live")


def test_no_form_where_nobody_reads(live, client, monkeypatch):
    """A run that nobody climbs shows its notes alone; a climber's run has no such section."""
    monkeypatch.setattr(notes, "held", lambda _: False)
    page = live.get("/runs/live").text
    assert ("<textarea" in page, "alert(1)" in page) == (False, True)
    assert "Helped by a person: the operator gave the authors a note" in page
    assert "Notes to the authors" not in client.get("/runs/open").text


def test_conversations_show_what_their_authors_were_told(live):
    """Escaped, and found by their words."""
    for query, there in (("", True), ("?q=ALERT", True), ("?q=nowhere", False)):
        page = live.get(f"/runs/live/transcripts{query}").text
        assert ("of the operator" in page) == there
        assert "<script>alert" not in page
