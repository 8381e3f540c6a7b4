"""A run as its ledger tells it: parsed once, read by summary, export, report and terminal alike."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from toprope.errors import RunError
from toprope.journal import checks
from toprope.journal.ledger import SqliteLedger, read_entries
from toprope.journal.records import (
    Ask,
    Asked,
    Audited,
    BlockRecord,
    Committed,
    Ended,
    Finding,
    Generation,
    Opening,
    Queried,
    Spent,
    record,
)
from toprope.journal.verdict import verdict
from toprope.models.messages import Reply
from toprope.protocols import Entry
from toprope.referee.messages import Answer, Opened
from toprope.stats.gap import Gap
from toprope.stats.leak import answer_bits
from toprope.types import Candidate, Floats, Incident, candidate_id

GAP = 0.1  # normalised value by which dev may lie above the test before it is called overfit


class Story(msgspec.Struct):
    """All records of a run in order. head: the ledger's last hash."""

    path: str
    opening: Opening
    blocks: list[BlockRecord]
    generations: list[Generation]
    asked: list[Asked]
    answers: list[Answer]
    committed: Committed | None
    test: Opened | None
    audits: list[Audited]
    head: str
    ask: Ask | None = None
    findings: list[Finding] = []
    spent: list[Spent] = []
    replies: list[Reply] = []
    queried: list[Queried] = []
    ended: list[Ended] = []

    @property
    def experiments(self) -> int:
        return self.generations[-1].experiments if self.generations else 0

    @property
    def champion(self) -> Candidate:
        """The last promoted candidate, else the starter."""
        promoted = [a.candidate for a in self.answers if a.promoted]
        if promoted:
            return next(a.candidate for a in self.asked if a.candidate.id == promoted[-1])
        o = self.opening
        return Candidate(o.tree, o.space.decode(o.space.default()))

    @property
    def champion_dev(self) -> float | None:
        """Dev value of the champion: that of the attempt which promoted it, or the starter's own."""
        name = self.champion.id
        for asked in self.asked:
            if asked.candidate.id == name:
                return asked.dev
        return next((g.best for g in self.generations if g.experiments == 1), None)

    @property
    def measured(self) -> Any:
        return next((a.measured for a in reversed(self.answers) if a.promoted), None)

    @property
    def disclosed(self) -> dict[str, float]:
        """bits that the gate disclosed about val, by what its answers said and when; late: off the first tick."""
        bits = sum(answer_bits(a.promoted, a.tick) for a in self.answers)
        return {"bits": round(bits, 3), "late": sum(a.tick > 0 for a in self.answers)}

    @property
    def seconds(self) -> float:
        return self.generations[-1].elapsed if self.generations else 0.0

    @property
    def cpu_seconds(self) -> float:
        return sum(b.cpu_s for b in self.blocks) + (self.test.cpu_s if self.test else 0.0)

    def candidates(self) -> dict[int, Candidate]:
        """Experiment -> its files and parameters."""
        o, found = self.opening, {}
        for b in self.blocks:
            if b.author is not None:
                found[int(b.experiments[0])] = b.author.candidate
            elif b.lo == 0:
                found |= {int(e): Candidate(o.tree, o.space.decode(b.rows[i])) for i, e in enumerate(b.experiments)}
        return found

    def incidents(self, severity: str) -> list[tuple[int, Incident]]:
        """(experiment, what was seen), each kind once per experiment. Other dev scores in a lone re-run are one."""
        found: dict[tuple[int, str], Incident] = {}
        for experiment, incident in self._seen():
            past = found.get((experiment, incident.kind))
            if past is None or past.severity == "advisory":  # what was seen in company may be proved when alone
                found[experiment, incident.kind] = incident
        return [(experiment, i) for (experiment, _), i in sorted(found.items()) if i.severity == severity]

    def _seen(self) -> Iterator[tuple[int, Incident]]:
        """On dev, in lone re-runs, and, once the run is over, on hidden draws."""
        for block in self.blocks:
            for i, seen in block.incidents.items():
                yield from ((int(block.experiments[i]), incident) for incident in seen)
        for asked in self.asked:
            yield from ((asked.experiment, incident) for incident in asked.incidents)
            if not asked.pure:
                yield asked.experiment, Incident("impure", "advisory", "its dev scores changed when it ran alone")
        sent = {asked.candidate.id: asked.experiment for asked in self.asked}
        for audited in self.audits:
            yield from ((sent.get(audited.candidate, -1), incident) for incident in audited.incidents)
        if self.test is not None and (gap := self.gap):
            yield sent.get(self.champion.id, 0), gap
        for candidate, seen in (self.test.incidents if self.test is not None else {}).items():
            yield from ((sent.get(candidate, -1), incident) for incident in seen)

    @property
    def gap(self) -> Incident | None:
        """Whether the champion's dev scores lie above its test scores by more than luck: overfit, which is no cheat."""
        dev = self._champion_per_draw()
        if self.test is None or dev is None or self.opening.partial:
            return None
        pairs = min(len(dev), len(self.test.per_draw))
        meter = Gap(clip=1.0, margin=GAP)
        if not meter.update(dev[:pairs], self.test.per_draw[:pairs]):
            return None
        said = f"dev {dev.mean():.3f}, sealed test {self.test.per_draw.mean():.3f}; log e = {meter.log_e:.1f}"
        return Incident("overfit", "advisory", said)

    def _champion_per_draw(self) -> Floats | None:
        """(n,) normalised dev gains of the champion, if it saw all of dev."""
        name, o = self.champion.id, self.opening
        experiment = next((a.experiment for a in self.asked if a.candidate.id == name), 0)
        scores = np.full(len(o.floors), np.nan)
        for b in self.blocks:
            at = np.flatnonzero(b.experiments == experiment)
            if len(at):
                scores[b.lo : b.hi] = b.scores[at[0]]
        if np.isnan(scores).any():
            return None
        return np.asarray((scores - o.floors) / (o.ceilings - o.floors).mean())

    @property
    def verdict(self) -> str | None:
        """On the champion, once the test is opened (`journal/verdict.py`)."""
        if self.test is None:
            return None
        experiment = next((a.experiment for a in self.asked if a.candidate.id == self.champion.id), 0)
        seen = ((i.kind, s) for s in ("certain", "advisory") for e, i in self.incidents(s) if e == experiment)
        return verdict(seen, self.opening.answer_kinds)

    def failures(self) -> dict[str, int]:
        """Outcome -> number of experiments, for those that did not end ok."""
        ended: dict[int, str] = {}  # an experiment may fail in several blocks; it counts once
        for block in self.blocks:
            for i, outcome in block.outcomes.items():
                ended.setdefault(int(block.experiments[i]), outcome)
        counts: dict[str, int] = {}
        for outcome in ended.values():
            counts[outcome] = counts.get(outcome, 0) + 1
        return dict(sorted(counts.items()))


def read(directory: Path) -> Story:
    """The story of a run directory. Raises RunError if it is no run, damaged, or ended before it began."""
    return tell(str(directory), read_entries(directory))


def asked(directory: Path) -> Ask | None:
    """What a run's first entry asks for; None where there is none. Raises RunError for what is no ledger."""
    ledger = SqliteLedger(directory / "ledger.db", readonly=True)
    try:
        first = next(ledger.read("ask"), None)
        ask: Ask | None = record(first) if first is not None else None
        return ask
    finally:
        ledger.close()


def tell(path: str, entries: Iterable[Entry]) -> Story:
    by_kind: dict[str, list[Any]] = {}
    head = ""
    for entry in entries:
        by_kind.setdefault(entry.kind, []).append(record(entry))
        head = entry.hash
    if "open" not in by_kind:
        again = f"toprope resume {path}" if "ask" in by_kind else "toprope climb"
        raise RunError(f"run {path} ended before it began; start it again with `{again}`")

    for kind in ("ask", "open", "commit", "test"):
        if len(by_kind.get(kind, [])) > 1:
            raise RunError(
                f"run {path}: its ledger makes no sense, it holds two entries {kind!r}; restore it from a copy"
            )

    def last(kind: str) -> Any:
        return by_kind.get(kind, [None])[-1]

    story = Story(
        path,
        by_kind["open"][0],
        by_kind.get("block", []),
        by_kind.get("generation", []),
        by_kind.get("attempt", []),
        by_kind.get("answer", []),
        last("commit"),
        last("test"),
        by_kind.get("audit", []),
        head,
        last("ask"),
        by_kind.get("finding", []),
        by_kind.get("spent", []),
        by_kind.get("reply", []),
        by_kind.get("query", []),
        by_kind.get("ended", []),
    )
    checks.check(story)
    return story


def _estimate(e: Any) -> dict[str, float] | None:
    return None if e is None else {"value": round(e.value, 4), "lo": round(e.lo, 4), "hi": round(e.hi, 4)}


def _model(s: Story) -> dict[str, Any] | None:
    """The model that candidates could ask, and what was asked of it; hidden work is known once the test is opened."""
    if s.opening.asks is None:
        return None
    some = [*s.replies, *(s.test.replies if s.test is not None else [])]
    return {
        "name": s.opening.asks.model,
        "replies": len(some),
        "tokens": sum(r.tokens for r in some),
        "dollars": round(sum(r.dollars for r in some), 4),
    }


def researchers(s: Story) -> list[dict[str, Any]]:
    """Every author by name: why its work ended, what it used, what it made. tokens, dollars: None for an agent of
    one's own, whose provider tells us nothing."""
    made = [b.author.name for b in s.blocks if b.author is not None]
    sent = [a.author for a in s.asked]
    ended = {e.author: e.why for e in s.ended}
    counted = s.opening.plan is not None and bool(s.opening.plan.model)
    names = {*made, *sent, *ended, *(x.author for x in s.spent), *(f.author for f in s.findings)} - {""}
    return [
        {
            "name": name,
            "ended": ended.get(name),
            "tokens": sum(x.tokens for x in s.spent if x.author == name) if counted else None,
            "dollars": round(sum(x.dollars for x in s.spent if x.author == name), 4) if counted else None,
            "experiments": made.count(name),
            "attempts": sent.count(name),
        }
        for name in sorted(names)
    ]


def summary(s: Story) -> dict[str, Any]:
    """What `climb`, `resume` and `unseal` print under --json (DESIGN section 12)."""
    o, test = s.opening, s.test
    return {
        "run": s.path,
        "task": o.task,
        "climber": o.climber.label,
        "seed": o.seed,
        "certifying": o.certifying,
        "experiments": s.experiments,
        "attempts": len([a for a in s.asked if a.clean]),
        "promotions": len([a for a in s.answers if a.promoted]),
        "champion": {
            "candidate": s.champion.id,
            "params": s.champion.params,
            "dev": s.champion_dev,
            "measured": _estimate(s.measured),
            "verdict": s.verdict,
        },
        "baselines": {} if test is None else {name: round(e.value, 4) for name, e in test.baselines.items()},
        "test": None
        if test is None
        else {**(_estimate(test.champion) or {}), "draws": test.draws, "openings": test.opening},
        "gains": {} if test is None else {name: _estimate(e) for name, e in test.gains.items()},
        "disclosed": s.disclosed,
        "outcomes": s.failures(),
        "incidents": {severity: len(s.incidents(severity)) for severity in ("certain", "advisory")},
        "protection": o.protection,
        "confined": o.confined,
        "beacon": None if o.beacon_round is None else {"round": o.beacon_round, "value": test and test.beacon},
        "committed": None if s.committed is None else s.committed.candidate,
        "hidden": o.hidden,
        "secret": None if o.kept is None else {"label": o.kept.label, "public": o.kept.public, "remedy": o.kept.remedy},
        "model": _model(s),
        "detectable": o.detectable,
        "researchers": researchers(s),
        "cost": {"wall_s": round(s.seconds, 1), "cpu_s": round(s.cpu_seconds, 1)},
        "ledger": s.head,
    }


def _told(o: Opening, block: BlockRecord, i: int) -> dict[str, Any]:
    """Who an experiment is: where an author made it, whose it is and the files, too."""
    experiment = int(block.experiments[i])
    if (a := block.author) is None:
        params = o.space.decode(block.rows[i])
        return {"experiment": experiment, "candidate": candidate_id(o.tree.digest, params), "params": params}
    files = {name: data.decode("utf-8", "replace") for name, data in a.candidate.tree.files.items()}
    named = {"experiment": experiment, "candidate": a.candidate.id, "params": a.candidate.params}
    return {**named, "author": a.name, "parent": a.parent, "files": files}


def export(s: Story) -> dict[str, Any]:
    """Everything a run decided, without times: equal for equal seed, secret and budget, on any number of workers."""
    o = s.opening
    rows: dict[int, dict[str, Any]] = {}
    for block in sorted(s.blocks, key=lambda b: (b.lo, int(b.experiments[0]))):
        for i, experiment in enumerate(block.experiments.tolist()):
            if block.lo == 0:
                rows[experiment] = _told(o, block, i) | {"outcome": "ok", "scores": []}
            row = rows.get(experiment)
            if row is None or row["outcome"] != "ok" or block.lo != len(row["scores"]):
                continue  # it has failed, or a run that was killed lacks the draws before these
            if i in block.outcomes:
                row["outcome"] = block.outcomes[i]
                row["message"] = block.messages.get(i, "")
            else:
                row["scores"] += [round(float(x), 6) for x in block.scores[i]]
    return {
        "task": o.task,
        "climber": o.climber.label,
        "seed": o.seed,
        "commitment": o.commitment,
        "tree": o.tree.digest,
        "space": o.space.digest,
        "experiments": [rows[k] for k in sorted(rows)],
        "generations": [
            {f: getattr(g, f) for f in ("number", "experiments", "best", "best_experiment", "pruned", "cached")}
            for g in s.generations
        ],
        "attempts": [
            {"candidate": a.candidate.id, "experiment": a.experiment, "dev": a.dev, "pure": a.pure} for a in s.asked
        ],
        "answers": [
            {
                "candidate": a.candidate,
                "promoted": a.promoted,
                "attempt": a.attempt,
                "slice": a.slice,
                "measured": _estimate(a.measured),
            }
            for a in s.answers
        ],
        "champion": s.champion.id,
        "test": None
        if s.test is None
        else {
            "champion": _estimate(s.test.champion),
            "baselines": {name: _estimate(e) for name, e in s.test.baselines.items()},
        },
        "secret": None if s.test is None else hashlib.sha256(s.test.secret).hexdigest(),
    }
