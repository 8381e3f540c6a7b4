"""One run, live: the four answers, the figure of dev, measured and sealed, and everything that they rest on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from toprope.errors import UsageError
from toprope.journal.history import RunHistory
from toprope.journal.records import NOTE_MAX
from toprope.journal.tiers import kept
from toprope.run import notes
from toprope.serve import answers
from toprope.serve.book import Book
from toprope.serve.pages import stop
from toprope.serve.pages.about import about, links, pair
from toprope.serve.pages.candidate import experiment_of
from toprope.serve.site import Site
from toprope.view import report as whole
from toprope.view.team import difference, team
from toprope.view.tiers import shown

LISTED = 24  # incidents


def page(site: Site, request: Request, book: Book) -> Response:
    """The run page; ?axis=minutes shows the figure over time."""
    s = book.history
    card = site.card(s.opening.spec.task, s.opening.spec.run)
    head = about(book)
    state = head["state"]
    unit = "minutes" if request.query_params.get("axis") == "minutes" else "experiments"
    why = reasons(book)
    found = answers.progress(s)
    spec = card.spec
    against = whole.against(s, card.baselines)
    return site.page(
        "run.html",
        **head,
        card=card,
        four=[answers.real(s), answers.cost(s), answers.tried(s), answers.failed(s, why)],
        reasons=why,
        why=answers.WHY,
        flags=whole.flags(s),
        figures=book.once(f"climb {unit}", lambda s: pair(s, card, unit)),
        unit=unit,
        progress=found,
        rate=answers.rate(s),
        left=answers.left(s, spec.splits.attempt_every if spec is not None else None),
        answers=whole.answers(s)[::-1],
        gaps=answers.gap_rows(s),
        number_of={a.candidate.id: a.experiment for a in s.asked},
        against=against,
        verdict=whole.verdict(against),
        forest=Markup(whole.forest(s, card.baselines, card.metric)),
        incidents=[(n, i) for severity in ("certain", "advisory") for n, i in s.incidents(severity)][:LISTED],
        counts={severity: len(s.incidents(severity)) for severity in ("certain", "advisory")},
        protection=answers.protection(s),
        changes=whole.changes(s),
        difference=book.once("difference", difference),
        team=book.once("team", _team),
        tiers=tiers(s),
        command=whole.command(s),
        can_stop=state == "climbing" and stop.holder(book.path) is not None,
        can_note=not notes.refusal(book.path, s),
        note_max=NOTE_MAX,
        readers=notes.authors(book.path),
        waiting=len(notes.waiting(book.path)),
        told=TOLD.get(request.query_params.get("told", "")),
        link=links(request),
    )


TOLD = {
    "stop": "The climb was asked to stop. It finishes what is in flight; `toprope resume` continues it.",
    "note": "The note waits for the next turn of its reader. It is recorded before it is shown; then it stands below.",
}


def reasons(book: Book) -> list[answers.Reason]:
    """The outcomes that are not ok, most frequent first, each with an example where the columns know one."""
    return book.once("reasons", lambda s: [_example(book, r) for r in answers.reasons(s)])


def _example(book: Book, reason: answers.Reason) -> answers.Reason:
    number = book.columns.example(reason.outcome)
    if number is None:
        return reason
    return reason._replace(example=number, message=experiment_of(book, number).message)


def _team(s: RunHistory) -> dict[str, Any] | None:
    found = team(s)
    return None if found is None else {**found, "figure": Markup(found["figure"])}


def tiers(s: RunHistory) -> list[dict[str, Any]]:
    """What `toprope transfer` measured of the run; nothing where its file is damaged."""
    try:
        return [shown(t) for t in kept(Path(s.path))]
    except UsageError:
        return []


def report(site: Site, request: Request, book: Book) -> Response:
    """The report, made from the ledger now, as a download: a file that lies in a run directory may be a stranger's."""
    html = whole.render(book.history)
    head = {"content-disposition": 'attachment; filename="report.html"'}
    return Response(html.encode("utf-8", "backslashreplace"), media_type="text/html", headers=head)
