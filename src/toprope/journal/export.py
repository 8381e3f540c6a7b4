"""A run's history as JSON: the summary that commands print, and the export of everything the run decided."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np

from toprope.journal.blocks import in_turn
from toprope.journal.history import RunHistory
from toprope.journal.records import BlockRecord, FinalsRecord, Generation
from toprope.types import candidate_id

_line = json.JSONEncoder(allow_nan=False).encode


def _estimate(e: Any) -> dict[str, float] | None:
    return None if e is None else {"value": round(e.value, 4), "lo": round(e.lo, 4), "hi": round(e.hi, 4)}


def model(s: RunHistory) -> dict[str, Any] | None:
    """The model that candidates could ask, and how much they asked it, on hidden draws only after the test is open."""
    if s.opening.spec.candidate_model is None:
        return None
    some = [*s.replies, *(s.test.replies if s.test is not None else [])]
    return {
        "name": s.opening.spec.candidate_model.model,
        "replies": len(some),
        "tokens": sum(r.tokens for r in some),
        "dollars": round(sum(r.dollars for r in some), 4),
    }


def researchers(s: RunHistory) -> list[dict[str, Any]]:
    """Every author by name: why its work ended, what it used, what it made. tokens, dollars: None for an agent of the
    user's own, whose use of its model is not known."""
    made = [b.author.name for b in s.authored if b.author is not None]
    sent = [a.author for a in s.asked]
    ended = {e.author: e.why for e in s.ended}
    counted = s.opening.spec.plan is not None and bool(s.opening.spec.plan.model)
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


def nodes(s: RunHistory) -> list[dict[str, Any]]:
    """The machines whose workers scored practice blocks, by name, with the number of their blocks; this machine's own
    scorers are not among them."""
    made = Counter(b.node for b in s.blocks if b.node is not None)
    ordered = sorted(made, key=lambda n: (n.name, n.tier, n.toprope))
    return [{"name": n.name, "tier": n.tier, "toprope": n.toprope, "blocks": made[n]} for n in ordered]


def summary(s: RunHistory) -> dict[str, Any]:
    """The JSON object that `climb`, `resume`, `unseal` and `show` print."""
    o, spec, test = s.opening, s.opening.spec, s.test
    return {
        "run": s.path,
        "task": spec.task,
        "climber": spec.climber.label,
        "executor": spec.executor or "local",
        "nodes": nodes(s),
        "seed": spec.seed,
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
        "beacon": None
        if o.spec.beacon_round is None
        else {"round": o.spec.beacon_round, "value": test and test.beacon},
        "committed": None if s.committed is None else s.committed.candidate,
        "hidden": o.hidden,
        "secret": None if o.kept is None else {"label": o.kept.label, "public": o.kept.public, "remedy": o.kept.remedy},
        "model": model(s),
        "detectable": o.detectable,
        "promotions_left": o.promotions_left,
        "researchers": researchers(s),
        "notes": len(s.notes),
        "cost": {
            "wall_s": round(s.seconds, 1),
            "cpu_s": round(s.cpu_seconds, 1),
            **({"sitting": s.session_s} if s.session_s else {}),  # its name in the contract
        },
        "ledger": s.head,
    }


def _told(s: RunHistory, tree: str, block: BlockRecord, i: int) -> dict[str, Any]:
    """The candidate of an experiment; of an author's experiment also author, parent and files. tree: digest of the
    starter's files."""
    candidate, experiment = s.candidate(block, i), int(block.experiments[i])
    if (a := block.author) is None:
        name = candidate_id(tree, candidate.params)
        return {"experiment": experiment, "candidate": name, "params": candidate.params}
    named = {"experiment": experiment, "candidate": candidate.id, "params": candidate.params}
    files = {name: data.decode("utf-8", "replace") for name, data in candidate.tree.files.items()}
    return {**named, "author": a.name, "parent": a.parent, "files": files}


def experiments(s: RunHistory) -> Iterator[dict[str, Any]]:
    """One object for each experiment, in order; `scores` are on the dev draws that it has seen: `first_draw`, the next
    ones, and draw 0 after the last one. Only the blocks between two barriers are in memory."""
    tree, draws = s.opening.tree.digest, len(s.opening.floors)
    for _, blocks in s.by_barrier():
        rows: dict[int, dict[str, Any]] = {}
        for block in in_turn(blocks, draws):
            scores = block.scores.astype(np.float64).round(6).tolist()
            for i, experiment in enumerate(block.experiments.tolist()):
                if block.begins:
                    begun = {"outcome": "ok", "first_draw": block.first_draw, "scores": []}
                    rows[experiment] = _told(s, tree, block, i) | begun
                row = rows.get(experiment)
                if row is None or row["outcome"] != "ok" or block.before(draws) != len(row["scores"]):
                    continue  # it has failed, or a killed run lacks the draws before these
                if i in block.outcomes:
                    row["outcome"] = block.outcomes[i]
                    row["message"] = block.messages.get(i, "")
                else:
                    row["scores"] += scores[i]
        yield from (rows[k] for k in sorted(rows))


def generation(g: Generation) -> dict[str, Any]:
    """A barrier, without times."""
    return {f: getattr(g, f) for f in ("number", "experiments", "best", "best_experiment", "pruned", "cached")}


def export(s: RunHistory) -> dict[str, Any]:
    """Everything a run decided, without times: the same for the same seed, secret and budget, on any number of
    workers."""
    said = decided(s)
    rows, generations = list(experiments(s)), [generation(g) for g in s.generations]
    return {**{n: said[n] for n in BEFORE}, "experiments": rows, "generations": generations, **said}


BEFORE = ("task", "climber", "seed", "commitment", "tree", "space")  # stand before the experiments


def decided(s: RunHistory) -> dict[str, Any]:
    """What `export` holds besides the experiments and the barriers."""
    o = s.opening
    return {
        "task": o.spec.task,
        "climber": o.spec.climber.label,
        "seed": o.spec.seed,
        "commitment": o.commitment,
        "tree": o.tree.digest,
        "space": o.space.digest,
        "finals": [{"number": f.number, "experiments": f.experiments.tolist(), "scores": _scores(f)} for f in s.finals],
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
        "notes": [{"to": n.to, "text": n.text, "experiments": n.experiments} for n in s.notes],
        "champion": s.champion.id,
        "test": None
        if s.test is None
        else {
            "champion": _estimate(s.test.champion),
            "baselines": {name: _estimate(e) for name, e in s.test.baselines.items()},
        },
        "secret": None if s.test is None else hashlib.sha256(s.test.secret).hexdigest(),
    }


def _scores(final: FinalsRecord) -> list[list[float | None]]:
    """JSON knows no NaN: None where a candidate failed."""
    return [[None if np.isnan(x) else round(float(x), 6) for x in row] for row in final.scores]


def as_json(s: RunHistory) -> Iterator[str]:
    """The text of `export` in pieces, so that no run is too long for memory."""
    said = decided(s)
    head = json.dumps({n: said[n] for n in BEFORE}, indent=1, allow_nan=False)
    yield head.removesuffix("\n}")
    for name, rows in (("experiments", experiments(s)), ("generations", map(generation, s.generations))):
        yield f',\n "{name}": ['
        comma = ""
        for row in rows:
            yield f"{comma}\n  {_line(row)}"
            comma = ","
        yield "\n ]"
    rest = json.dumps({n: v for n, v in said.items() if n not in BEFORE}, indent=1, allow_nan=False)
    yield "," + rest.removeprefix("{")


def as_lines(s: RunHistory) -> Iterator[str]:
    """One JSON object per line: {"run": what was decided}, then an {"experiment": ...} each, then the barriers."""
    yield _line({"run": decided(s)})
    yield from map(_line, experiments(s))
    yield from (_line({"generation": generation(g)}) for g in s.generations)
