"""The four questions that a reader has of a run, answered in a few words each: is it real, what did it cost, what was
tried, what failed and why."""

from __future__ import annotations

import bisect
from typing import NamedTuple

from toprope.journal.export import model
from toprope.journal.history import RunHistory
from toprope.serve.site import count, interval, number, span, value
from toprope.view import report

RECENT_S = 30.0  # of climbing over which the rate is taken


class Answer(NamedTuple):
    """said: the answer in a line. more: sentences under it. kind: "good", "bad" or "", for its colour."""

    question: str
    said: str
    more: list[str]
    kind: str = ""


class Reason(NamedTuple):
    """experiments: how many ended so. example: number of one of them, with its message; None if not known yet."""

    outcome: str
    experiments: int
    example: int | None = None
    message: str = ""


WHY = {
    "invalid": "answered with a wrong shape, a number that is not finite, or lacks a function",
    "crash": "raised an exception or ended early",
    "timeout": "took too long",
    "memory": "asked for more memory than it may have",
    "output": "answered with more bytes than it may",
    "violation": "tried something that the sandbox forbids",
}


def reasons(s: RunHistory) -> list[Reason]:
    """The outcomes that are not ok, most frequent first."""
    return [Reason(o, n) for o, n in sorted(s.failures().items(), key=lambda x: -x[1])]


def real(s: RunHistory) -> Answer:
    test, measured, said = s.test, s.measured, "Is it real?"
    certain = len(s.incidents("certain"))
    notes = [
        f"{count(certain, 'certain incident')}; such candidates are kept from the gate."
        if certain
        else "No certain incident."
    ]
    bare = s.opening.protection.get("tier") == "none"
    if s.opening.spec.rehearsal is not None:
        notes.append("A rehearsal: it certifies nothing.")
    elif not s.opening.certifying and not bare:
        notes.append("Not counted by the vault: it certifies nothing.")
    if bare:
        return Answer(said, "Not proven: candidates ran without a sandbox.", notes, "bad")
    if test is not None:
        gap = s.champion_dev - test.champion.value if s.champion_dev is not None else None
        sealed = (
            f"{interval(test.champion)} on {test.draws} sealed draws{', opened once' if test.opening == 1 else ''}."
        )
        if gap is not None:
            more = "more" if gap >= 0 else "less"
            notes.insert(0, f"Practice says {abs(gap):.3f} {more} than the sealed test.")
        if test.opening > 1:
            level = 100 * (1 - 0.05 / test.opening)
            notes.append(f"Opening {test.opening} of this task in its vault, so the interval is one of {level:.4g} %.")
        if s.verdict not in (None, "clean"):
            return Answer(said, f"Doubtful: the audits say {s.verdict}.", [sealed, *notes], "bad")
        counts = s.opening.certifying and s.opening.spec.rehearsal is None
        return Answer(said, sealed, [report.verdict(report.against(s, {})), *notes], "good" if counts else "")
    if measured is not None:
        return Answer(said, f"{interval(measured)} measured on fresh data; the sealed test is closed.", notes)
    return Answer(said, "Not yet: practice values only, which prove nothing.", notes)


def cost(s: RunHistory) -> Answer:
    each = f"{1000 * s.cpu_seconds / s.experiments:,.0f} ms CPU each" if s.experiments else ""
    more = [", ".join(filter(None, [each, f"{rate(s):,.1f} experiments/s lately" if rate(s) else ""]))]
    tokens, dollars = sum(x.tokens for x in s.spent), sum(x.dollars for x in s.spent)
    if tokens or dollars:
        more.append(f"{tokens:,} tokens of the authors' models, ${dollars:.2f}.")
    if (asked := model(s)) is not None and asked["tokens"]:
        more.append(f"{asked['tokens']:,} tokens of the candidates' model, ${asked['dollars']:.2f}.")
    return Answer(
        "What did it cost?", f"{span(s.seconds)} of climbing, {span(s.cpu_seconds)} of CPU.", [m for m in more if m]
    )


def tried(s: RunHistory) -> Answer:
    last = s.generations[-1] if s.generations else None
    sent, promoted = len([a for a in s.asked if a.clean]), sum(a.promoted for a in s.answers)
    more = [f"{count(sent, 'attempt')} at the gate, {promoted} promoted."]
    if last is not None and (last.pruned or last.cached):
        more.append(f"{last.pruned:,} were stopped early, {last.cached:,} were repeats.")
    if s.opening.space.dims:
        more.append(f"{len(s.opening.space.dims)} parameters, {_points(s.opening.space.points)} points.")
    return Answer("What was tried?", f"{number(s.experiments)} experiments by {s.opening.spec.climber.label}.", more)


def failed(s: RunHistory, reasons: list[Reason]) -> Answer:
    ended = sum(r.experiments for r in reasons)
    certain = len(s.incidents("certain"))
    refused = sum(not a.promoted for a in s.answers)
    more = [f"{r.experiments:,} {r.outcome}: {WHY.get(r.outcome, '')}." for r in reasons[:3]]
    more += [f"{count(refused, 'attempt')} not shown to be better than the champion."] if refused else []
    more += [f"{count(certain, 'certain incident')}: a tripwire or honeypot has proof."] if certain else []
    share = f" of {s.experiments:,}" if s.experiments else ""
    said = f"{ended:,}{share} experiments did not end ok." if ended else "Every experiment ended ok."
    return Answer("What failed, and why?", said, more, "bad" if certain else "")


def rate(s: RunHistory) -> float:
    """Experiments per second over the last RECENT_S of climbing; 0 before the second barrier."""
    g = s.generations
    if len(g) < 2:
        return 0.0
    first = min(bisect.bisect_left(g, g[-1].elapsed - RECENT_S, key=lambda x: x.elapsed), len(g) - 2)
    seconds = g[-1].elapsed - g[first].elapsed
    return (g[-1].experiments - g[first].experiments) / seconds if seconds > 0 else 0.0


class Progress(NamedTuple):
    """share: of the budget, in [0, 1]. left_s: seconds until it is spent, as things go; None if that is not known."""

    share: float
    budget: str
    left_s: float | None


def progress(s: RunHistory) -> Progress:
    spec = s.opening.spec
    if spec.experiments is not None:
        per_s, left = rate(s), max(0, spec.experiments - s.experiments)
        words = f"{spec.experiments:,} experiments"
        return Progress(min(1.0, s.experiments / spec.experiments), words, left / per_s if per_s else None)
    budget = 60 * (spec.minutes or 0)
    share = min(1.0, s.seconds / budget) if budget else 0.0
    return Progress(share, f"{spec.minutes:g} minutes", max(0.0, budget - s.seconds))


def protection(s: RunHistory) -> str:
    """How candidates were kept apart from everything else, as a sentence. The values come from the ledger."""
    p = s.opening.protection
    if p.get("tier") == "none":
        return "None: candidates could read and change anything that you can."
    walls = ["namespaces of their own"] if p.get("namespaces") else []
    walls += [f"Landlock (ABI {p.get('landlock_abi', 'unknown')})", "a filter of system calls"]
    network = "no network" if p.get("network") == "denied" else f"network: {p.get('network', 'unknown')}"
    instead = f" {p['instead']}." if p.get("instead") else ""
    kept = f"{p.get('tier')}; {p.get('identity', 'identity unknown')}"
    return f"Candidates ran behind {', '.join(walls)}, with {network} ({kept}).{instead}"


def left(s: RunHistory, every: int | None) -> list[str]:
    """Sentences about attempts that may still be made. every: experiments per attempt at most, by the task's card."""
    plan, said = s.opening.spec.plan, []
    if plan is not None:
        used = len([a for a in s.asked if a.clean])
        said.append(f"{used} of {plan.attempts * plan.researchers} attempts used ({plan.attempts} for each author).")
    elif every is not None and not s.asked:
        said.append(f"The first attempt is due after {every:,} experiments, or at the end; each attempt tells one bit.")
    elif every is not None:
        said.append(f"At most one attempt in {every:,} experiments, and fewer in a long climb; each tells one bit.")
    if (most := s.opening.promotions_left) is not None:
        promoted = sum(a.promoted for a in s.answers)
        said.append(f"The hidden data carry {max(0, most - promoted)} more promotions.")
    said.append(f"{s.disclosed['bits']:.2f} bits disclosed about the hidden draws so far.")
    return said


def _points(n: int) -> str:
    return f"{n:,}" if n < 10**7 else f"{float(n):.1e}"


def gap_rows(s: RunHistory) -> list[tuple[str, str, str]]:
    """(where, dev, hidden) of every measured champion and of the sealed test: how far practice runs ahead."""
    dev = {a.candidate.id: a.dev for a in s.asked}
    rows = [
        (f"attempt {a.attempt}", value(dev.get(a.candidate)), interval(a.measured)) for a in s.answers if a.measured
    ]
    return rows + ([("sealed test", value(s.champion_dev), interval(s.test.champion))] if s.test is not None else [])
