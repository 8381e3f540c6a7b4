"""One experiment: its candidate's files and parameters, where it came from, how it ended and why, and what the gate
said."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from starlette.requests import Request
from starlette.responses import Response

from toprope.journal.blocks import in_turn
from toprope.journal.history import RunHistory
from toprope.journal.records import Author
from toprope.journal.verdict import verdict
from toprope.serve import answers
from toprope.serve.book import Book
from toprope.serve.pages.about import STILL, about
from toprope.serve.shelf import Unknown
from toprope.serve.site import Site
from toprope.stats.intervals import Estimate, ratio
from toprope.types import Candidate, Floats, Incident
from toprope.view.team import compared

SHOWN = 20_000  # characters of a file that the page shows; all of it can be downloaded
PARENTS = 20  # of its lineage


class Experiment(NamedTuple):
    """One experiment as the ledger has it. candidate: None for a repeat, which was not run. scores: (draws seen,).
    value: normalised, with its interval over dev draws; None if not ok."""

    number: int
    candidate: Candidate | None
    author: Author | None
    outcome: str
    message: str
    scores: Floats
    value: Estimate | None
    incidents: list[Incident]
    node: str


def experiment_of(book: Book, number: int) -> Experiment:
    """Reads the blocks around it only."""
    s = book.history
    draws, first_draw = len(s.opening.floors), 0
    blocks = in_turn(s.blocks_of(number), draws)
    outcome, message, node = "ok" if blocks else "repeat", "", ""
    candidate, author, scores = None, None, []
    incidents: list[Incident] = []
    for b in blocks:
        i = int(np.argmax(b.experiments == number))
        if b.begins:
            candidate, author, first_draw = s.candidate(b, i), b.author, b.first_draw
        if i in b.outcomes and outcome == "ok":
            outcome, message = b.outcomes[i], b.messages.get(i, "")
        incidents += b.incidents.get(i, [])
        node = b.node.name if b.node is not None else node
        scores.append(b.scores[i].astype(np.float64))
    seen = np.concatenate(scores) if scores else np.empty(0)
    value = None
    if outcome == "ok" and seen.size:
        which = (first_draw + np.arange(seen.size)) % draws
        floors, ceilings = s.opening.floors[which], s.opening.ceilings[which]
        value = ratio(seen, floors, ceilings, method="delta") if seen.size > 1 else _one(seen, floors, ceilings)
    return Experiment(number, candidate, author, outcome, message, seen, value, incidents, node)


def _one(seen: Floats, floors: Floats, ceilings: Floats) -> Estimate:
    """A value from one draw, which has no interval."""
    value = float((seen[0] - floors[0]) / (ceilings[0] - floors[0]))
    return Estimate(value, value, value, 0.0)


def page(site: Site, request: Request, book: Book) -> Response:
    number = request.path_params["number"]
    s = book.history
    if number >= max(s.experiments, 1) and not list(s.blocks_of(number)):
        raise Unknown(str(number))
    e = experiment_of(book, number)
    asked = next((a for a in s.asked if a.experiment == number), None)
    sent = asked.candidate.id if asked is not None else ""
    answer = next((a for a in s.answers if a.candidate == sent), None)
    seen = _incidents(s, e)
    champion = s.champion
    return site.page(
        "candidate.html",
        **(about(book) | STILL),
        e=e,
        id=e.candidate.id if e.candidate is not None else "",
        is_champion=e.candidate is not None and e.candidate.id == champion.id,
        files=_files(e.candidate),
        asked=asked,
        answer=answer,
        incidents=seen,
        verdict=verdict(((i.kind, i.severity) for i in seen), s.opening.answer_kinds),
        why=answers.WHY.get(e.outcome, ""),
        lineage=lineage(s, e),
        diffs=_diffs(s, e, champion),
        params=_params(s, e, champion),
        draws=len(s.opening.floors),
    )


def _incidents(s: RunHistory, e: Experiment) -> list[Incident]:
    found = [i for severity in ("certain", "advisory") for n, i in s.incidents(severity) if n == e.number]
    return found or e.incidents


def _files(candidate: Candidate | None) -> list[tuple[str, int, str, bool]]:
    """(name, bytes, the beginning as text, whether that is all) of each file, by name."""
    if candidate is None:
        return []
    found = []
    for name, data in sorted(candidate.tree.files.items()):
        words = data[: 4 * SHOWN].decode("utf-8", "replace")
        found.append((name, len(data), words[:SHOWN], len(words) <= SHOWN and len(data) <= 4 * SHOWN))
    return found


def file(site: Site, request: Request, book: Book) -> Response:
    """A file of a candidate as a download. It is found by its place among the candidate's files in the ledger; no name
    that a candidate chose reaches the file system or the head of the answer."""
    p = request.path_params
    e = experiment_of(book, p["number"])
    files = sorted(e.candidate.tree.files.items()) if e.candidate is not None else []
    if p["file"] >= len(files):
        raise Unknown(str(p["file"]))
    name, data = files[p["file"]]
    tail = name.rsplit(".", 1)[-1] if name.rsplit(".", 1)[-1] in ("py", "json", "txt", "md", "toml") else "txt"
    head = {"content-disposition": f'attachment; filename="candidate-{p["number"]}-{p["file"]}.{tail}"'}
    return Response(data, media_type="application/octet-stream", headers=head)


def lineage(s: RunHistory, e: Experiment) -> list[tuple[int, str, str]]:
    """(experiment, author, candidate) of the candidates that it was made from, nearest first. Only authors say so."""
    if e.author is None or not e.author.parent:
        return []
    known: dict[str, tuple[int, Author]] = {}
    for b in s.authored:
        if b.author is not None:
            known.setdefault(b.author.candidate.id, (int(b.experiments[0]), b.author))
    found: list[tuple[int, str, str]] = []
    name = e.author.parent
    while name in known and len(found) < PARENTS:
        number, author = known[name]
        if any(number == n for n, _, _ in found):
            break
        found.append((number, author.name, name))
        name = author.parent
    return found


def _diffs(s: RunHistory, e: Experiment, champion: Candidate) -> list[tuple[str, str]]:
    """(against what, unified diff) of the candidate's files against its parent's, the starter's and the champion's."""
    if e.candidate is None:
        return []
    others = {"starter": s.opening.tree, "champion": champion.tree}
    if e.author is not None and e.author.parent:
        parent = next((b.author for b in s.authored if b.author and b.author.candidate.id == e.author.parent), None)
        others = {**({"parent": parent.candidate.tree} if parent is not None else {}), **others}
    found = [(name, compared(tree, e.candidate.tree, name, "this")) for name, tree in others.items()]
    return [(name, words) for name, words in found if words]


def _params(s: RunHistory, e: Experiment, champion: Candidate) -> list[tuple[str, Any, Any, Any]]:
    """(name, this one's value, the starter's, the champion's), those that differ from the starter first."""
    if e.candidate is None:
        return []
    space = s.opening.space
    start, best = space.decode(space.default()), champion.params
    rows = [(k, v, start.get(k, ""), best.get(k, "")) for k, v in e.candidate.params.items()]
    return sorted(rows, key=lambda r: (r[1] == r[2], r[0]))
