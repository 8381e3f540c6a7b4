"""The report: one HTML page that works offline, made from the ledger only.

All text from a candidate or a user is hostile: the template escapes it, and the page's policy allows no script.
"""

from __future__ import annotations

import shlex
import time
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from toprope import figures
from toprope.errors import UsageError
from toprope.journal import drawing, page
from toprope.journal.export import model, summary
from toprope.journal.history import RunHistory
from toprope.journal.reading import read
from toprope.journal.tiers import kept
from toprope.protocols import Baseline, TaskSpec
from toprope.tasks import registry
from toprope.view import text
from toprope.view.team import difference, team
from toprope.view.tiers import shown

NAME = "report.html"  # in a run's directory
LISTED = 50  # incidents that are listed
HERE = Path(__file__).parent


def write(directory: Path, output: Path | None = None) -> Path:
    """Writes the report of a run directory; returns its path. output: None: RUN/report.html. Raises UsageError if the
    file cannot be written."""
    path = output or directory / NAME
    html = render(read(directory))
    try:
        path.write_text(html, encoding="utf-8", errors="backslashreplace")  # the run's name need not be text
    except OSError as e:
        raise UsageError(f"cannot write {path}: {e.strerror}; name another file with -o") from e
    return path


def render(s: RunHistory) -> str:
    task = registry.load(s.opening.spec.task)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE), autoescape=True, trim_blocks=True, undefined=jinja2.StrictUndefined
    )
    return environment.get_template("report.html.jinja").render(_context(s, task.spec, dict(task.baselines())))


def _context(s: RunHistory, card: TaskSpec, baselines: dict[str, Baseline]) -> dict[str, Any]:
    o, test = s.opening, s.test
    level = 100 * (1 - 0.05 / test.opening) if test else 95.0
    others = against(s, baselines)
    return {
        "s": s,
        "o": o,
        "spec": card,
        "test": test,
        "css": Markup("".join(p.read_text(encoding="utf-8") for p in (figures.STYLE, HERE / "report.css"))),
        "headline": f"{test.champion.value:.3f}" if test else "not opened",
        "started": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(o.started)),
        "level": level,
        "flags": flags(s),
        "verdict": verdict(others),
        "against": others,
        "forest": forest(s, baselines, card.metric.name),
        "climb": drawing.climb(s.course, card.metric.name, card.practice, card.hidden),
        "last": s.generations[-1] if s.generations else {"pruned": 0, "cached": 0},
        "failures": s.failures(),
        "answers": answers(s),
        "promotions": sum(a.promoted for a in s.answers),
        "incidents": [(n, i) for severity in ("certain", "advisory") for n, i in s.incidents(severity)][:LISTED],
        "champion": s.champion,
        "changes": changes(s),
        "difference": difference(s),
        "tiers": [shown(t) for t in kept(Path(s.path))],
        "team": _team(s),
        "secret": test.secret.hex() if test else "",
        "summary": summary(s),
        "protection": text.protected(s.opening.protection),
        "command": command(s),
        "data": Markup(page.block(s)),
    }


def _team(s: RunHistory) -> dict[str, Any] | None:
    found = team(s)
    return None if found is None else {**found, "figure": Markup(found["figure"])}


def flags(s: RunHistory) -> list[tuple[str, str]]:
    """What a reader must know before trusting the headline: (CSS class, sentence) pairs."""
    found = []
    if s.opening.protection.get("tier") == "none":
        found.append(("bad", "Unprotected: candidates ran without a sandbox, so this number could have been forged."))
    if (asked := model(s)) is not None:
        found.append(("", f"M{text.model(asked)[1:]}."))
    if s.notes:
        given = "a note" if len(s.notes) == 1 else f"{len(s.notes)} notes"
        found.append(("", f"Helped by a person: the operator gave the authors {given}, listed below."))
    if s.opening.spec.rehearsal is not None:
        found.append(
            ("", "Rehearsal: the hidden draws come from a secret given on the command line. It certifies nothing.")
        )
    if (secret := s.opening.kept) is not None and secret.public:
        label = secret.label[:1].upper() + secret.label[1:]
        found.append(("", f"{label}. A user who studies it could gain an advantage; {secret.remedy} makes it private."))
    if certain := s.incidents("certain"):
        found.append(
            ("bad", f"{len(certain)} certain incidents, listed below: these candidates were not sent to the gate.")
        )
    return found


def against(s: RunHistory, baselines: dict[str, Baseline]) -> list[dict[str, Any]]:
    """The baselines on the sealed draws, best first, each with the champion's paired gain; empty before the test."""
    if s.test is None:
        return []
    order = sorted(s.test.baselines, key=lambda n: -s.test.baselines[n].value)  # type: ignore[union-attr]
    return [
        {
            "name": n,
            "value": s.test.baselines[n].value,
            "gain": s.test.gains[n],
            "source": baselines[n].source if n in baselines else "",
            "tuned": n in baselines and baselines[n].tuned,
        }
        for n in order
    ]


def verdict(against: list[dict[str, Any]]) -> str:
    """One sentence about the paired intervals, whether good or bad."""
    if not against:
        return ""
    above = [r for r in against if r["gain"].lo > 0]
    not_above = [r["name"] for r in against if r["gain"].lo <= 0]
    if not not_above:
        best = against[0]
        return (
            f"The champion is above all {len(against)}, with every paired interval above zero; "
            f"the best of them is {best['name']}, beaten by {best['gain'].value:.3f}."
        )
    return f"The champion is above {len(above)} of {len(against)}; not shown to be above: {', '.join(not_above)}."


def forest(s: RunHistory, baselines: dict[str, Baseline], axis: str) -> str:
    """The champion and the baselines on the sealed draws as a figure; empty before the test."""
    if s.test is None:
        return ""
    bars = [figures.Bar("champion", s.test.champion.value, s.test.champion.lo, s.test.champion.hi, "champion")]
    for name, e in s.test.baselines.items():
        kind = "tuned" if name in baselines and baselines[name].tuned else "default"
        bars.append(figures.Bar(name, e.value, e.lo, e.hi, kind))
    bars.sort(key=lambda b: -b.value)
    return figures.intervals(bars, axis)


def answers(s: RunHistory) -> list[dict[str, Any]]:
    """One row for each answer of the gate, with the dev value of its candidate."""
    dev = {a.candidate.id: a.dev for a in s.asked}
    return [
        {
            "attempt": a.attempt,
            "slice": a.slice,
            "candidate": a.candidate,
            "dev": dev[a.candidate],
            "promoted": a.promoted,
            "measured": a.measured,
        }
        for a in s.answers
    ]


def changes(s: RunHistory) -> list[tuple[str, Any, Any]]:
    """(parameter, value of the starter, value of the champion) where they differ."""
    space = s.opening.space
    start = space.decode(space.default())
    return [(k, start.get(k, ""), v) for k, v in s.champion.params.items() if start.get(k) != v]


def command(s: RunHistory) -> str:
    """The command that asks for the same run."""
    o = s.opening
    trusted = "none" if o.tier == "none" else None
    return shlex.join(o.spec.argv(tier=trusted, unseal=s.test is not None, report=True))
