"""Runs whose every text is hostile: no page lets it become more than text, and no name leads out of the folder."""

import asyncio
from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit

import histories
import msgspec
import numpy as np
import pytest
from asking import Client, sound, speak, written
from histories import EVIL

from toprope.journal.records import Author, Ended, Finding, Note, Spent
from toprope.journal.spec import Plan, Researchers
from toprope.serve import site as sites
from toprope.serve.app import make
from toprope.serve.shelf import Shelf
from toprope.types import Candidate, Incident, Tree

NAME = "<svg onload=alert(3)>\"'&%2e%2e#?"  # of a run directory; a slash cannot be in it
FILE = "../../<img src=x onerror=alert(4)>.py"
SOURCE = b"'''</pre><script>alert(5)</script>'''\n\x00\xff<svg onload=alert(6)>\n"
VOID = {"meta", "br", "img", "input", "hr", "link"}
OURS = {
    "a", "article", "b", "body", "br", "button", "circle", "code", "dd", "details", "div", "dl", "dt", "figcaption",
    "figure", "footer", "form", "g", "h1", "h2", "h3", "head", "header", "html", "input", "label", "li", "line", "link",
    "main", "meta", "nav", "ol", "option", "p", "path", "polygon", "polyline", "pre", "progress", "rect", "script",
    "section", "select", "span", "summary", "svg", "table", "tbody", "td", "text", "textarea", "th", "thead", "title",
    "tr", "ul",
}  # fmt: skip


def author(number: int, parent: str = ""):
    """A block of one by an author with hostile names and files; an incident with hostile evidence."""
    made = Candidate(Tree({"solution.py": SOURCE, FILE: SOURCE}), {EVIL: EVIL, "n": number})
    return msgspec.structs.replace(
        histories.block(),
        id=f"{number}.0.2",
        experiments=np.array([number], np.uint32),
        author=Author("ada<b>", made, parent),
        incidents={0: [Incident(EVIL, "certain", EVIL)]},
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run with authors, and one of a climber, both hostile; and a file that only has a ledger's name."""
    folder = tmp_path_factory.mktemp("hostile") / "runs"
    s = sound()
    plan = Plan(EVIL, 1, [EVIL])
    spec = msgspec.structs.replace(s.opening.spec, climber=Researchers(plan), beacon_round=EVIL)
    one = author(0)
    s.opening = msgspec.structs.replace(s.opening, spec=spec, toprope=EVIL, vault_since=EVIL)
    s.blocks = [one, author(1, one.author.candidate.id)]
    s.test = msgspec.structs.replace(s.test, beacon=EVIL)
    more = [
        Finding(1, "ada<b>", "idea", EVIL, EVIL),
        Note(1, "ada<b>", EVIL, "0-a", 1.0, 1),
        Spent("ada<b>", 5, 0.5, EVIL),
        Ended("ada<b>", f"error: {EVIL}"),
    ]
    written(folder / NAME, s, *more)
    written(folder / "points", sound())
    (folder / "broken").mkdir()
    (folder / "broken" / "ledger.db").write_bytes(EVIL.encode() * 99)
    (folder.parent / "secret.txt").write_text("the secret")
    return folder


@pytest.fixture
def hostile(folder):
    found = Shelf(folder)
    yield found
    found.close()


def pages(shelf: Shelf) -> list[str]:
    home = sites.home(NAME)
    one = [
        home + tail
        for tail in ("", "/experiments", "/experiments/0", "/experiments/1", "/importance", "/replay", "/transcripts")
    ]
    points = [f"/runs/points{tail}" for tail in ("", "/experiments/0", "/importance", "/replay?until=1")]
    lists = ["/", "/tasks", "/tasks/testing/coin-v1", "/leaderboard?task=testing/coin-v1", "/runs/broken"]
    return [*one, *points, *lists, f"/compare?a=points&b={home.removeprefix('/runs/')}"]


class Seen(HTMLParser):
    """What a browser would make of a page: tags, attributes, and scripts that are not ours."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.wrong: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if tag not in OURS or (tag == "script" and given.get("src") != "/static/live.js"):
            self.wrong.append(f"<{tag} {given}>")
        self.wrong += [f"{tag} {name}={value}" for name, value in attrs if name.startswith("on") or name == "style"]
        for name in ("href", "src", "action"):
            value = given.get(name) or "/"
            if not value.startswith(("/", "?", "#", "data:,")) or value.startswith("//"):
                self.wrong.append(f"{tag} {name}={value}")


def asked(client: Client, address: str):
    """A browser sends what it finds in a link; the application sees it decoded."""
    parts = urlsplit(address)
    scope = client.scope("GET", address, {}) | {"path": unquote(parts.path)}
    return asyncio.run(speak(client.guard, scope, [b""]))


def test_hostile_text_stays_text_on_every_page(hostile):
    """Names of runs, authors, parameters and files, sources, findings, error messages, evidence and protections."""
    client = Client(make(hostile)).enter()
    shown = ""
    for address in pages(hostile):
        reply = asked(client, address)
        assert reply.status in (200, 422), (address, reply.text)
        assert not Seen(reply.text).wrong, address
        shown += reply.text
    for part in ("alert(1)", "alert(3)", "alert(4)", "alert(5)"):
        assert part in shown, "the attack never reached a page"


def test_without_escaping_the_attack_works(hostile, monkeypatch):
    """The control: the same pages, from templates that do not escape."""
    plain = sites.environment(autoescape=False)
    monkeypatch.setattr(sites, "environment", lambda: plain)
    client = Client(make(hostile)).enter()
    found = [address for address in pages(hostile) if Seen(asked(client, address).text).wrong]
    assert len(found) > 8, found


def test_a_file_is_a_download_under_a_name_of_ours(hostile):
    """Its own name reaches no header, and a browser does not show it."""
    client = Client(make(hostile)).enter()
    for number in (0, 1):
        reply = asked(client, f"{sites.home(NAME)}/experiments/0/files/{number}")
        assert reply.headers["content-disposition"].startswith('attachment; filename="candidate-0-')
        assert reply.headers["content-type"] == "application/octet-stream"
        assert "alert(5)" in reply.text
    assert asked(client, f"{sites.home(NAME)}/experiments/0/files/2").status == 404


def test_a_report_is_made_now_and_downloaded(hostile, folder):
    """A report.html in a run directory may be a stranger's: it is never sent."""
    (folder / "points" / "report.html").write_text("<script>alert(7)</script>")
    reply = Client(make(hostile)).enter().get("/runs/points/report")
    assert reply.headers["content-disposition"].startswith("attachment")
    assert "alert(7)" not in reply.text


WAYS = [
    "/runs/..", "/runs/../secret.txt", "/runs/%2e%2e", "/runs/points/../../secret.txt", "/runs/points/..%2f..",
    "/static/../site.py", "/static/..%2fsite.py", "/static//etc/passwd", "/runs//etc", "/runs/.",
    "/runs/points/ledger.db", "/tasks/../../etc/passwd", "/tasks//etc/passwd", "/runs/points/experiments/0/files/..",
    "/runs/points/experiments/-1", "/runs/points/experiments/99999999999999999999",
    "/compare?a=../secret.txt&b=points", "/compare?a=..&b=.",
]  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_no_path_leads_out(hostile, way):
    """Names are looked up among the runs of the folder; nothing from an address is joined to a path."""
    client = Client(make(hostile)).enter()
    for address in (way, way.replace("%", "%25")):
        reply = asked(client, address)
        assert reply.status == 404, (address, reply.text[:200])
        assert "the secret" not in reply.text


QUERIES = [
    "page=-1", "page=9e9", "page=99999999", "page=²", "min=nan", "min=inf", "min=x", "sort=../x", "outcome=<b>",
    "author=%00", "until=99999999999", "until=-5", "until=²", "axis=<svg>", "whole=x", "c=9999", "a=&b=",
    "&".join(["x=1"] * 40),
]  # fmt: skip


@pytest.mark.parametrize("query", QUERIES)
def test_no_query_breaks_a_page(hostile, query):
    client = Client(make(hostile)).enter()
    for path in ("/", "/runs/points", "/runs/points/experiments", "/runs/points/replay", "/leaderboard"):
        reply = asked(client, f"{path}?{query}")
        assert reply.status in (200, 404, 422)
        assert not Seen(reply.text).wrong


def test_a_broken_run_breaks_no_other(hostile):
    """Its row says why, and its page too."""
    client = Client(make(hostile)).enter()
    assert "unreadable" in client.get("/").text
    assert "points" in client.get("/").text
    assert client.get("/runs/broken").status == 422
