"""Does the score of a synthetic task rank methods as activations of real models do? v1 (before) against v2 (after).

Every method is run on draws of each predictor (a synthetic task) and of each target (a bank of real activations):
baselines at defaults and tuned, random points of the grammar, and what climbs found on their way. The figures are
Spearman rank correlations of predictor and target, over all methods, the baselines, the climbed ones and the
predictor's own top quartile. Of methods that score the same on every draw only the first counts. Intervals (95 %)
resample concepts, then draws within them, of predictor and target; they do not resample methods.

--bank FILE.npz, repeated: banks that were looked at when the levels of noise were chosen. --held-out FILE.npz: banks
that were not. --points: number of random points. --draws, --real-draws: of each predictor and bank. --hidden: hidden
synthetic draws as predictors too. Raw scores
are kept in --cache, outside the repository. --output: JSON with all figures. --figure: SVG.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from studies.drawing import save
from studies.w2s.measured import Source, distinct, joined, measure, methods
from studies.w2s.sources import draws as made
from toprope.figures import Bar, intervals
from toprope.stats.intervals import nested_weights, ranks
from toprope.types import Floats

BEFORE, AFTER = ("w2s/probe-v1 dev", "w2s/probe-v1 measure"), ("w2s/probe-v2 dev", "w2s/probe-v2 measure")
GOALS = {"all": 0.85, "baselines": 0.7, "top quartile": 0.7}
RESAMPLES = 400
REFERENCES = ("vanilla", "logconf + L2 (tuned)", "overlap density (tuned)", "label propagation + match (tuned)")


def correlation(x: Floats, y: Floats) -> float:
    """Spearman's, ties at their mean rank."""
    return float(np.corrcoef(ranks(x), ranks(y))[0, 1])


def resampled(source: Source, seed: int) -> Floats:
    """(r, m) values of all methods under resampled groups and draws."""
    return source.values(nested_weights(source.groups[:, None], RESAMPLES, np.random.default_rng(seed)))


def sets(predictor: Source, kinds: NDArray[np.str_]) -> dict[str, NDArray[np.bool_]]:
    """Name of a set -> which methods are in it."""
    x = predictor.values()
    found = {"all": np.ones(len(x), bool), "baselines": kinds == "baseline"}
    found |= {str(kind): kinds == kind for kind in np.unique(kinds) if kind != "baseline"}
    return found | {"top quartile": x >= np.quantile(x, 0.75)}


def compared(predictor: Source, target: Source, kinds: NDArray[np.str_]) -> dict[str, dict[str, Any]]:
    """Set of methods -> rank correlation with its interval, and number of methods."""
    x, y, found = predictor.values(), target.values(), {}
    for name, around in spread(predictor, target, kinds).items():
        some = sets(predictor, kinds)[name]
        found[name] = {"rho": round(correlation(x[some], y[some]), 3), **interval(around), "methods": int(some.sum())}
    return found


def spread(predictor: Source, target: Source, kinds: NDArray[np.str_]) -> dict[str, Floats]:
    """Set of methods -> (r,) rank correlations under resampled concepts and draws, the same of the target at each
    call."""
    pairs = list(zip(resampled(predictor, 1), resampled(target, 2), strict=True))
    return {
        name: np.array([correlation(x[some], y[some]) for x, y in pairs])
        for name, some in sets(predictor, kinds).items()
    }


def interval(around: Floats) -> dict[str, float]:
    lo, hi = np.quantile(around, [0.025, 0.975])
    return {"lo": round(float(lo), 3), "hi": round(float(hi), 3)}


def gained(before: Source, after: Source, target: Source, kinds: NDArray[np.str_]) -> dict[str, dict[str, float]]:
    """Set -> difference of the rank correlations, after - before; and on the target the difference between the first
    methods of both predictors and between their best five. Paired: the target is resampled once for both."""
    old, new = (compared(p, target, kinds) for p in (before, after))
    around = [spread(p, target, kinds) for p in (before, after)]
    found = {}
    for name in old:
        difference = round(new[name]["rho"] - old[name]["rho"], 3)
        found[name] = {"difference": difference, **interval(around[1][name] - around[0][name])}
    y, many = target.values(), resampled(target, 2)
    for name, count in (("first method", 1), ("best five", 5)):
        one, two = (np.argsort(-p.values())[:count] for p in (before, after))
        difference = float(y[two].mean() - y[one].mean())
        found[name] = {"difference": round(difference, 3), **interval(many[:, two].mean(1) - many[:, one].mean(1))}
    return found


def picks(predictor: Source, target: Source, names: Sequence[str]) -> dict[str, Any]:
    """The predictor's first method and the target value of it, of its best five and of the target's own best."""
    x, y = predictor.values(), target.values()
    order = np.argsort(-x)
    return {
        "first": names[order[0]],
        "its value": round(float(y[order[0]]), 3),
        "best five": round(float(y[order[:5]].mean()), 3),
        "best possible": round(float(y.max()), 3),
    }


def values(source: Source, names: Sequence[str], seed: int) -> dict[str, list[float]]:
    """Method -> [PGR, 2.5 %, 97.5 %]."""
    lo, hi = np.quantile(resampled(source, seed), [0.025, 0.975], axis=0)
    return {
        n: [round(float(v), 3) for v in row]
        for n, row in zip(names, np.stack([source.values(), lo, hi], 1), strict=True)
    }


def main(
    *,
    bank: tuple[Path, ...] = (),
    held_out: tuple[Path, ...] = (),
    points: int = 100,
    draws: int = 52,
    real_draws: int = 62,
    hidden: bool = False,
    seed: int = 20261128,
    cache: Path | None = None,
    output: Path | None = None,
    figure: Path | None = None,
) -> None:
    tried = methods(points, seed)
    params = [p for _, p in tried.values()]

    def scored(name: str, count: int) -> Source:
        print(f"{name}: {len(params)} methods on {count} draws", file=sys.stderr, flush=True)
        return measure(name, made(name, count, seed), params, cache)

    chosen = (*BEFORE, *AFTER) if hidden else (BEFORE[0], AFTER[0])
    predictors = {name: scored(name, draws) for name in chosen}
    targets = {path.stem: scored(str(path), real_draws) for path in (*bank, *held_out)}
    roles = {path.stem: "seen" for path in bank} | {path.stem: "held out" for path in held_out}
    if len(targets) > 1:
        targets["all banks"], roles["all banks"] = joined(list(targets.values())), "pooled"
    keep = distinct([*predictors.values(), *targets.values()])
    names = np.array(list(tried))[keep]
    kinds = np.array([kind for kind, _ in tried.values()])[keep]
    predictors = {name: s.pick(keep) for name, s in predictors.items()}
    targets = {name: s.pick(keep) for name, s in targets.items()}
    found: dict[str, Any] = {
        "methods": len(tried),
        "distinct": len(names),
        "roles": roles,
        "correlations": {},
        "picks": {},
        "gains": {},
    }
    for t, target in targets.items():
        found["correlations"][t] = {p: compared(s, target, kinds) for p, s in predictors.items()}
        found["picks"][t] = {p: picks(s, target, names.tolist()) for p, s in predictors.items()}
        found["gains"][t] = gained(predictors[BEFORE[0]], predictors[AFTER[0]], target, kinds)
    found["values"] = {name: values(s, names.tolist(), 3) for name, s in (predictors | targets).items()}
    print_tables(found)
    save(chart(found["correlations"], roles), figure)
    if output is not None:
        output.write_text(json.dumps(found, indent=1) + "\n")


def print_tables(found: Mapping[str, Any]) -> None:
    """Correlations and picks, as the page has them."""
    print(f"{found['methods']} methods, {found['distinct']} distinct.\n")
    shown = list(next(iter(next(iter(found["correlations"].values())).values())))
    print("| real bank | role | predictor | " + " | ".join(shown) + " | its first method there | its best five |")
    print("|---" * (5 + len(shown)) + "|")
    for bank, rows in found["correlations"].items():
        for predictor, row in rows.items():
            said = [f"{row[s]['rho']:.2f} [{row[s]['lo']:.2f}, {row[s]['hi']:.2f}]" for s in shown]
            first = found["picks"][bank][predictor]
            told = f"{first['first']}: {first['its value']:.3f} | {first['best five']:.3f}"
            print(f"| {bank} | {found['roles'][bank]} | {predictor} | {' | '.join(said)} | {told} |")
    shown = list(next(iter(found["gains"].values())))
    print("\nv2 - v1, practice draws:\n\n| real bank | " + " | ".join(shown) + " |\n" + "|---" * (1 + len(shown)) + "|")
    for bank, row in found["gains"].items():
        each = ("{difference:+.2f} [{lo:+.2f}, {hi:+.2f}]".format(**row[s]) for s in shown)
        print(f"| {bank} | {' | '.join(each)} |")
    sources = list(found["values"])
    print("\n| method | " + " | ".join(sources) + " |\n" + "|---" * (1 + len(sources)) + "|")
    for name in REFERENCES:
        print(
            f"| {name} | "
            + " | ".join("{:.3f} [{:.3f}, {:.3f}]".format(*found["values"][s][name]) for s in sources)
            + " |"
        )


def chart(correlations: Mapping[str, Any], roles: Mapping[str, str]) -> str:
    """One row for every bank, set of methods and task, dev draws as the predictor."""
    bars = []
    for bank, rows in correlations.items():
        for name in GOALS:
            for kind, predictor in (("default", BEFORE[0]), ("champion", AFTER[0])):
                row = rows[predictor][name]
                label = f"{bank}, {name}, {predictor.split()[0].rpartition('-')[2]}"
                bars.append(Bar(label, row["rho"], row["lo"], row["hi"], kind))
    return intervals(bars, "rank correlation with real activations", floor=0.0, ceiling=1.0)
