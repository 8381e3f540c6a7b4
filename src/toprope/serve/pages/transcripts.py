"""The conversations and findings of a run's authors, and the operator's notes to them, searchable, with incidents of
their experiments marked."""

from __future__ import annotations

from typing import Any, NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from toprope.assay.hackrate import HUNTING, Conversation, conversations
from toprope.serve.book import Book
from toprope.serve.pages.about import STILL, about, links, page_number
from toprope.serve.site import Site

PAGE, SHOWN = 40, 4000  # messages at once; characters of one
WORDS = 200  # characters of a search
FINDINGS = 100  # shown at once


class Message(NamedTuple):
    """One message of a conversation, cut after SHOWN characters. calls: what it asked tools for."""

    number: int
    role: str
    words: str
    calls: list[str]
    cut: bool


def page(site: Site, request: Request, book: Book) -> Response:
    """?c is the number of a conversation, ?q words to search for in it, ?page the page of its messages."""
    q = request.query_params
    every = book.once("conversations", lambda s: conversations(book.path))
    words = q.get("q", "")[:WORDS]
    at = min(int(q["c"]), len(every) - 1) if q.get("c", "").isdecimal() and len(q["c"]) < 6 and every else 0
    found = _messages(every[at], words) if every else []
    here = page_number(request)
    return site.page(
        "transcripts.html",
        **(about(book) | STILL),
        every=[(i, c, sum(bool(m.seen) for m in c.made), len(_messages(c, words))) for i, c in enumerate(every)],
        at=at,
        chosen=every[at] if every else None,
        incidents=[(m.number, kind, severity) for m in (every[at].made if every else []) for kind, severity in m.seen],
        hunts=[c for c in (every[at].calls if every else []) if c.hunts in HUNTING],
        messages=found[PAGE * (here - 1) : PAGE * here],
        matching=len(found),
        page=here,
        pages=max(1, -(-len(found) // PAGE)),
        words=words,
        findings=[f for f in book.history.findings if words.lower() in f"{f.author} {f.kind} {f.text}".lower()],
        notes=[n for n in book.history.notes if words.lower() in f"{n.to} {n.text}".lower()],
        shown=FINDINGS,
        link=links(request),
    )


def _messages(c: Conversation, words: str) -> list[Message]:
    found = []
    for i, m in enumerate(c.messages):
        said = str(m.get("content", ""))
        calls = [f"{call['tool']}({_told(call.get('arguments'))})" for call in m.get("tool_calls", [])]
        if not words or words.lower() in " ".join([said, *calls]).lower():
            cut = len(said) > SHOWN
            found.append(Message(i, str(m["role"]), said[:SHOWN], [call[:SHOWN] for call in calls], cut))
    return found


def _told(arguments: Any) -> str:
    if not isinstance(arguments, dict):
        return str(arguments)[:SHOWN]
    return ", ".join(f"{k}={v!r}" for k, v in arguments.items())
