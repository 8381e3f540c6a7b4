"""What can be climbed, and one task: what it measures, its anchors and baselines, known cheats, its runs."""

from __future__ import annotations

import functools

from starlette.requests import Request
from starlette.responses import Response

from toprope.assay.redteam import corpus
from toprope.serve.shelf import Unknown
from toprope.serve.site import Site
from toprope.tasks import registry


def every(site: Site, request: Request) -> Response:
    """The tasks of installed packages and the user's own, with the number of runs in the folder."""
    counts: dict[str, int] = {}
    for row in site.shelf.rows():
        counts[row.task] = counts.get(row.task, 0) + 1
    return site.page("tasks.html", tasks=registry.available(), counts=counts)


def one(site: Site, request: Request) -> Response:
    task = request.path_params["task"]
    if not registry.is_known(task):
        raise Unknown(task)
    card = site.card(task)
    rows = [r for r in site.shelf.rows() if r.task == task]
    return site.page("task.html", task=task, card=card, rows=rows, anchors=_anchors(site, task), cheats=_cheats())


def _anchors(site: Site, task: str) -> dict[str, float]:
    """Values of baselines on the sealed draws of the last run of this task whose test is open, and the run's name."""
    for r in site.shelf.rows():
        if r.task == task and r.sealed is not None:
            test = site.shelf.book(r.name).history.test
            return {n: e.value for n, e in test.baselines.items()} if test is not None else {}
    return {}


@functools.cache
def _cheats() -> list[tuple[str, int]]:
    """(class, number) of the scripted cheats that `toprope redteam` runs."""
    counts: dict[str, int] = {}
    for cheat in corpus.load(corpus.SHIPPED):
        counts[cheat.cls] = counts.get(cheat.cls, 0) + 1
    return [(corpus.CLASSES[cls], n) for cls, n in counts.items()]
