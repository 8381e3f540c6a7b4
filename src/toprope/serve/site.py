"""What every page shares: templates with escaping, the style sheet, the card of a task, and how figures are written."""

from __future__ import annotations

import functools
import os
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2
from starlette.responses import HTMLResponse, Response

from toprope import figures
from toprope.errors import TopropeError
from toprope.protocols import Baseline, TaskSpec
from toprope.serve.shelf import Shelf
from toprope.stats.intervals import Estimate
from toprope.tasks import registry
from toprope.version import __version__
from toprope.view import report

HERE = Path(__file__).parent
MISSING = "–"


def _read(*paths: Path) -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in paths)


STATIC = {  # name -> (media type, text): the style of the report, then what pages add to it
    "style.css": ("text/css", _read(figures.STYLE, report.HERE / "report.css", HERE / "static" / "pages.css")),
    "live.js": ("text/javascript", _read(HERE / "static" / "live.js")),
}


class Card:
    """What the code of a task says of it; empty where the task is not known here."""

    def __init__(self, spec: TaskSpec | None = None, baselines: dict[str, Baseline] | None = None) -> None:
        self.spec, self.baselines = spec, baselines or {}

    @property
    def metric(self) -> str:
        return self.spec.metric.name if self.spec is not None else "value"


class Site:
    """The templates and the shelf. form: the token that forms must carry; set once the guard has made it."""

    def __init__(self, shelf: Shelf) -> None:
        self.shelf, self.form = shelf, ""
        self._cards: dict[str, Card] = {}
        self._env = environment()

    def page(self, template: str, status: int = 200, **values: Any) -> Response:
        """Renders a template. Every value is escaped but figures, which are Markup of ours."""
        shared = {"form_token": self.form, "version": __version__, "folder": str(self.shelf.folder)}
        html = self._env.get_template(template + ".jinja").render(shared | values)
        return HTMLResponse(html.encode("utf-8", "backslashreplace"), status)  # names of folders need not be text

    def card(self, task_id: str, run: str = "") -> Card:
        """The task's card. run: the random name of a run of the user's own task, which says where the task lies."""
        if task_id not in self._cards:
            try:
                known = registry.for_run(run, task_id, None) if run else task_id
                task = registry.load(known)
                self._cards[task_id] = Card(task.spec, dict(task.baselines()))
            except (TopropeError, ImportError):
                return Card()
        return self._cards[task_id]


@functools.cache
def environment(*, autoescape: bool = True) -> jinja2.Environment:
    """autoescape: off in a test only, which shows what it prevents."""
    env = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"),
        autoescape=autoescape,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    env.filters |= {
        "number": number,
        "value": value,
        "interval": interval,
        "when": when,
        "span": span,
        "short": short,
        "home": home,
        "count": count,
    }
    return env


def number(n: float | None) -> str:
    return MISSING if n is None else f"{n:,.0f}"


def value(x: float | None) -> str:
    return MISSING if x is None or x != x else f"{x:.3f}"


def interval(e: Estimate | None) -> str:
    return MISSING if e is None else f"{e.value:.3f} [{e.lo:.3f}, {e.hi:.3f}]"


def when(seconds: float) -> str:
    """A date of this machine's clock, in its time zone."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds)) if seconds else MISSING


def span(seconds: float | None) -> str:
    """A duration in the two largest units that it has."""
    if seconds is None:
        return MISSING
    s = round(seconds)
    if s < 120:
        return f"{s} s"
    if s < 7200:
        return f"{s // 60} min {s % 60} s" if s < 600 else f"{s // 60} min"
    if s < 172_800:
        return f"{s // 3600} h {s % 3600 // 60} min"
    return f"{s // 86_400} d {s % 86_400 // 3600} h"


def count(n: int, what: str, several: str = "") -> str:
    """A number with its noun. several: the plural, if it is not made with an s."""
    return f"{n:,} {what if n == 1 else several or what + 's'}"


def home(name: str) -> str:
    """The address of a run's page."""
    return "/runs/" + quote(os.fsencode(name), safe="")


def short(name: str, most: int = 10) -> str:
    return name[:most]
