"""`toprope verify`: checks a run from its directory alone, so that anyone can do it later.

It checks the chain, and the revealed secret against the commitment. It generates every hidden draw that was used again,
and repeats gate, measurements and sealed test from the candidates' files. It scores a sample of experiments again on
dev, and makes the report again from the ledger. Checks that need the revealed secret are reported as open before the
test is opened. A replay cannot show that the user made no other run (only the vault counts runs), nor that the climber
did not know the secret (the sandbox and the referee's process prevent that).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from toprope import notebook, seeding
from toprope.errors import NoReply, RunError
from toprope.executors.local import LocalExecutor
from toprope.executors.messages import ScorerConfig, Work
from toprope.journal import page
from toprope.journal.checks import contradictions
from toprope.journal.history import RunHistory
from toprope.journal.ledger import read_entries
from toprope.journal.reading import from_entries
from toprope.models.broker import Broker
from toprope.models.messages import SCRIPTED, Reply
from toprope.protocols import Entry, Task
from toprope.referee.gate import Gate
from toprope.referee.recorded import Opened
from toprope.referee.sealed_test import run_test
from toprope.referee.vault_file import kept_head, kept_replies
from toprope.run.same_task import one_candidate
from toprope.space import Space
from toprope.stats.intervals import Estimate
from toprope.stats.leak import RELEASE_SLOTS, release_bits
from toprope.tasks import mark, registry
from toprope.types import Candidate, certain
from toprope.version import __version__

LEAST = 24  # experiments scored again on dev, besides those sent to the gate; of n experiments at least the root of n
CLOSE = 1e-6  # another machine's linear algebra may differ in the last bits


class ReplayCheck(msgspec.Struct, frozen=True):
    """One check. ok: None if it cannot be decided; `why` then gives the reason."""

    name: str
    ok: bool | None
    why: str


class Verification(msgspec.Struct, frozen=True):
    """Whether a run is what it says. The fields are those of `toprope verify --json`.

    ok: nothing differs. The other figures are None where they cannot be said, such as what is hidden before the test is
    opened. versions: of toprope, that made the run and that verified it. recorded, replayed: {"test": estimate,
    "measured": [estimate, ...]} as the ledger holds them and as they came out again; values are normalised, with 95 %
    intervals or wider. checks: every comparison, with what was seen.
    """

    run: str
    versions: dict[str, str | None]
    ok: bool
    chain_ok: bool | None
    revealed_ok: bool | None
    champion_reproduced: bool | None
    gate_reproduced: bool | None
    dev_reproduced: bool | None
    report_ok: bool | None
    recorded: dict[str, Any] | None
    replayed: dict[str, Any] | None
    checks: list[ReplayCheck]

    def _repr_html_(self) -> str:
        words = {True: "ok", False: "DIFFERS", None: "cannot be said"}
        rows = [(c.name, words[c.ok], c.why) for c in self.checks]
        title = f"{self.run}: {'nothing differs' if self.ok else 'this run is not what it says'}"
        return notebook.block(title, rows, ("check", "result", "what was seen"))


Render = Callable[[RunHistory], str]
Progress = Callable[[str, float], None]


def verify(
    directory: Path, report: Path | None, tier: str, workers: int, vault: Path, render: Render, progress: Progress
) -> Verification:
    """Compares everything that can be compared. report: the page to compare; None: RUN/report.html.

    Raises RunError if the directory holds no run, or a run that this version of toprope cannot run again.
    """
    if not (directory / "ledger.db").is_file():
        read_entries(directory)
    try:
        entries = read_entries(directory)
        history = from_entries(str(directory), entries)
    except RunError as e:
        return _result(str(directory), [ReplayCheck("chain", False, str(e))], None, None)
    _can_replay(history, vault)
    checks = [_chain(entries, history), _vault(entries, history, vault), _revealed(history)]
    task = registry.load(history.opening.spec.task, vault)
    replayed = None
    if checks[0].ok:
        progress("starting scorers", 0.0)
        config = ScorerConfig(task.spec.id, _secrets(history), tier, marked=True, vault=str(vault))
        pool = LocalExecutor(config, workers, progress, broker=_model(history, task, history.replies))
        try:
            same = _task(history, task, pool)
            checks += same
            if any(c.ok is False for c in same):
                why = "cannot be said: the task here is another one"
                checks += [ReplayCheck(name, None, why) for name in ("dev", "gate", "measured", "test")]
                return _result(str(directory), checks, history, None)
            checks.append(_dev(history, task, pool, entries[-1].hash))
            if history.test is None or not checks[2].ok:
                why = "the test is not opened" if history.test is None else "the secret is not the one committed to"
                checks += [ReplayCheck(name, None, f"cannot be said: {why}") for name in ("gate", "measured", "test")]
            else:
                if pool.broker is not None:  # on hidden draws the same question had other replies
                    pool.broker.close()
                    pool.broker = _model(history, task, history.test.replies)
                more, replayed = _hidden(history, history.test, task, pool, progress)
                checks += more
            checks += _replies(history, vault)
        except NoReply as e:
            checks.append(ReplayCheck("model", False, str(e)))
        finally:
            pool.close()
        checks.append(_report(entries, history, report, report or directory / "report.html", render))
    return _result(str(directory), checks, history, replayed)


def _result(
    path: str, checks: list[ReplayCheck], history: RunHistory | None, replayed: dict[str, Any] | None
) -> Verification:
    by_name = {c.name: c.ok for c in checks}
    recorded = None if history is None or history.test is None else _figures(history.test.champion, _measured(history))
    champion = [by_name.get("measured"), by_name.get("test")]
    return Verification(
        run=path,
        versions={"run": None if history is None else history.opening.toprope, "here": __version__},
        ok=all(c.ok is not False for c in checks),
        chain_ok=by_name["chain"],
        revealed_ok=by_name.get("revealed"),
        champion_reproduced=False if False in champion else None if None in champion else True,
        gate_reproduced=by_name.get("gate"),
        dev_reproduced=by_name.get("dev"),
        report_ok=by_name.get("report"),
        recorded=recorded,
        replayed=replayed,
        checks=checks,
    )


def _figures(test: Estimate, measured: list[Estimate]) -> dict[str, Any]:
    def plain(e: Estimate) -> dict[str, float]:
        return {"value": e.value, "lo": e.lo, "hi": e.hi}

    return {"test": plain(test), "measured": [plain(e) for e in measured]}


def _measured(s: RunHistory) -> list[Estimate]:
    return [a.measured for a in s.answers if a.measured is not None]


def _can_replay(s: RunHistory, vault: Path) -> None:
    o, here = s.opening, registry.load(s.opening.spec.task, vault).secret
    if o.hidden != (here.name if here is not None else ""):
        then, now = o.kept.label if o.kept else "none", here.label if here else "none"
        raise RunError(
            f"run {s.path} used another secret of its task ({then}) than vault {vault} holds ({now}); set "
            "TOPROPE_VAULT to the vault that it was begun with"
        )


def _model(s: RunHistory, task: Task, replies: list[Reply]) -> Broker | None:
    """The candidates' model, replayed from the ledger: it needs no key and asks no provider."""
    asks, use = s.opening.spec.candidate_model, task.spec.model
    if use is None or asks is None or asks.model == SCRIPTED:
        return None
    return Broker(asks.model, use, None, known=replies)


def _replies(s: RunHistory, vault: Path) -> Iterator[ReplayCheck]:
    """Providers do not sign replies. If the vault here knows the run, its replies on hidden draws are compared."""
    asks = s.opening.spec.candidate_model
    if asks is None or asks.model == SCRIPTED:
        return
    kept = kept_replies(vault, s.opening.spec.run) if s.test is not None else None
    if kept is None or s.test is None:
        yield ReplayCheck("model", None, f"cannot be said: the replies of {asks.model} are known from the ledger only")
    else:
        same = kept == s.test.replies
        yield ReplayCheck("model", same, f"the vault holds {len(kept)} replies of {asks.model} on hidden draws")


def _secrets(s: RunHistory) -> dict[Any, bytes]:
    secrets: dict[Any, bytes] = {"dev": seeding.dev_secret(s.opening.spec.seed)}
    if s.test is not None:
        secrets |= dict.fromkeys(("val", "measure", "test"), s.test.secret)
        if s.opening.spec.beacon_round is not None:
            secrets["test"] = seeding.beacon_secret(s.test.secret, s.opening.spec.beacon_round, s.test.beacon or "")
    return secrets


# ---------------------------------------------------------------- from the ledger alone


def _chain(entries: list[Entry], s: RunHistory) -> ReplayCheck:
    try:
        wrong = list(contradictions(entries, s))
    except (LookupError, ValueError, TypeError) as e:  # a forged ledger may hold any values of the right types
        wrong = [f"its records are inconsistent ({e})"]
    return ReplayCheck("chain", not wrong, "; ".join(wrong[:3]) or f"{len(entries)} entries, head {s.head[:16]}")


def _vault(entries: list[Entry], s: RunHistory, vault: Path) -> ReplayCheck:
    """If the vault here knows the run, the head of its ledger at the commitment is compared."""
    kept = kept_head(vault, s.opening.spec.run)
    if kept is None:
        return ReplayCheck("vault", None, "cannot be said: the vault here does not know this run's commitment")
    heads = [e.hash for e in entries if e.kind == "commit"]
    return ReplayCheck("vault", heads == [kept], f"the vault holds head {kept[:16]} at the commitment")


def _revealed(s: RunHistory) -> ReplayCheck:
    o, test = s.opening, s.test
    if test is None:
        return ReplayCheck("revealed", None, "cannot be said: the secret is revealed when the test is opened")
    if o.spec.rehearsal is not None and test.secret != seeding.run_secret(o.spec.rehearsal):
        return ReplayCheck("revealed", False, "the secret is not that of the rehearsal")
    if o.certifying and (o.spec.rehearsal is not None or o.protection.get("tier") == "none"):
        return ReplayCheck("revealed", False, "a rehearsal or unprotected run is recorded as certifying")
    if (o.spec.beacon_round is None) != (test.beacon is None):
        return ReplayCheck("revealed", False, "a beacon's round was named without using a value, or the reverse")
    ok = seeding.commitment(test.secret) == o.commitment
    beacon = (
        f"; compare {o.spec.beacon_round} = {test.beacon} with the beacon's own record" if o.spec.beacon_round else ""
    )
    return ReplayCheck(
        "revealed", ok, f"the revealed secret {'has' if ok else 'does not have'} the hash committed to{beacon}"
    )


def _report(entries: list[Entry], s: RunHistory, named: Path | None, path: Path, render: Render) -> ReplayCheck:
    """Compares the page's data with the ledger as it was when the page was written; if this version wrote the page,
    also what it shows. A stale page, or another style sheet, is not a fault of the run."""
    if named is None and not path.is_file():
        return ReplayCheck("report", None, f"cannot be said: {path.name} is missing")
    try:
        html = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as e:
        raise RunError(f"cannot read report {path}: {e}; name the page with --report-file") from e
    try:
        claim = page.claimed(html)
        if claim is None and s.opening.format == 1:
            return ReplayCheck(
                "report", None, f"cannot be said: {path} is of a version that wrote no data into its pages"
            )
        if claim is None:
            raise ValueError("it holds no data")
        then, stale = _then(entries, s, claim["ledger"])
        if differs := page.differing(claim, then):
            raise ValueError(f"its data differ: {', '.join(differs)}")
        return ReplayCheck("report", True, f"{path}: {_shown(html, then, claim, render)}{stale}")
    except (ValueError, RunError) as e:
        return ReplayCheck(
            "report", False, f"{path} is not what the ledger gives ({e}); `toprope report` writes it again"
        )


def _then(entries: list[Entry], s: RunHistory, head: Any) -> tuple[RunHistory, str]:
    """The history up to the entry at which a page was written, and a note if that is not the last entry. Raises
    ValueError for a page of another ledger."""
    at = next((i for i, e in enumerate(entries) if e.hash == head), None)
    if at is None:
        raise ValueError("it was written from another ledger")
    if at + 1 == len(entries):
        return s, ""
    return from_entries(s.path, entries[: at + 1]), f"; stale: written at entry {at + 1} of {len(entries)}"


def _shown(html: str, then: RunHistory, claim: dict[str, Any], render: Render) -> str:
    """How far the page agrees. Raises ValueError if this version would show something else."""
    if claim["toprope"] != __version__:
        return f"its data are what the ledger gives; toprope {claim['toprope']} wrote what it shows"
    ours = render(then)
    if html == ours:
        return "what the ledger gives, letter by letter"
    if page.visible(html) != page.visible(ours):
        raise ValueError("its data are right, and what it shows is something else")
    return "what the ledger gives, in another style; look at one that you write with `toprope report`"


# ---------------------------------------------------------------- by running candidates again


def _dev(s: RunHistory, task: Task, pool: LocalExecutor, head: str) -> ReplayCheck:
    """Compares starter, space and a sample of experiments, which the ledger's head selects."""
    o = s.opening
    if o.tree != task.starter() or o.space.digest != (task.space or Space([])).digest:
        return ReplayCheck("dev", False, "the ledger's starter or search space is not the task's")
    sound, made = _sound(s)
    picked = np.random.default_rng(int(head[:16], 16)).permutation(sound)[: sample_size(made)].tolist()
    sent = [a for a in s.asked if a.pure]
    told = s.scored({*picked, *(a.experiment for a in sent)})
    wrong = [a.experiment for a in sent if a.candidate != told[a.experiment][0]]
    again = sorted(set(sound.tolist()) & told.keys())
    seen = {e: np.flatnonzero(~np.isnan(told[e][1])) for e in again}
    works = [Work(i, one_candidate(pool, told[e][0], seen[e].tolist()), "dev") for i, e in enumerate(again)]
    wrong += _finals(s, task, pool, int(head[:16], 16))
    for done in pool.run(works):
        e = again[done.id]
        same = task.spec.metric.same(done.result.scores[0], told[e][1][seen[e]])
        anchors = np.allclose(done.floors, o.floors[seen[e]]) and np.allclose(done.ceilings, o.ceilings[seen[e]])
        if not (same and anchors):
            wrong.append(e)
    if wrong:
        return ReplayCheck("dev", False, f"experiments {sorted(set(wrong))[:8]} score otherwise when run again")
    return ReplayCheck("dev", True, f"{len(again)} of {made} experiments score the same when run again")


def sample_size(experiments: int) -> int:
    """How many experiments are scored again: of 10^6, 1,000, which miss a forged share of 1 % once in 20,000 times."""
    return max(LEAST, math.isqrt(experiments))


def _sound(s: RunHistory) -> tuple[NDArray[np.int64], int]:
    """The experiments whose scores are all ok, in order, and the number of all experiments."""
    made: list[NDArray[np.uint32]] = []
    failed: set[int] = set()
    for b in s.blocks:
        failed.update(int(b.experiments[i]) for i in b.outcomes)
        if b.begins:
            made.append(b.experiments)
    every = np.unique(np.concatenate(made)).astype(np.int64) if made else np.empty(0, dtype=np.int64)
    return np.setdiff1d(every, list(failed)), len(every)


def _finals(s: RunHistory, task: Task, pool: LocalExecutor, seed: int) -> list[int]:
    """Experiments that score otherwise in finals: one of each, selected by the seed, is played again."""
    rng = np.random.default_rng(seed)
    rows = [int(rng.integers(len(final.experiments))) for final in s.finals]
    players = [int(final.experiments[row]) for final, row in zip(s.finals, rows, strict=True)]
    made = s.scored(set(players))
    works = [
        Work(i, one_candidate(pool, made[e][0], range(s.finals[i].scores.shape[1])), "dev", slice=s.finals[i].number)
        for i, e in enumerate(players)
        if e in made
    ]
    again = {done.id: done.result.scores[0] for done in pool.run(works)}
    before = {i: s.finals[i].scores[row].astype(np.float64) for i, row in enumerate(rows)}
    unknown = [e for e in players if e not in made]  # a forged ledger
    return unknown + [players[i] for i in again if not task.spec.metric.same(again[i], before[i])]


def _task(s: RunHistory, task: Task, pool: LocalExecutor) -> list[ReplayCheck]:
    """Whether the task behaves as it did when the run began; unknown for runs of format 1."""
    if not s.opening.mark:
        return []
    why = mark.changed(s.opening.mark, mark.of_task(task) | pool.mark, task.spec.id)
    return [ReplayCheck("task", not why, why or "its draws, starter, space, baselines and numbers are what they were")]


def _hidden(
    s: RunHistory, test: Opened, task: Task, pool: LocalExecutor, progress: Progress
) -> tuple[list[ReplayCheck], dict[str, Any]]:
    """Repeats gate, measurements and sealed test with the revealed secret."""
    gate = Gate(task.spec, pool, s.opening.number)
    wrong = list(_verdicts(s, test, gate, progress))
    checks = [
        ReplayCheck("gate", not wrong, "; ".join(wrong[:3]) or f"{len(test.gate)} verdicts with the same e-values")
    ]
    asked = {a.candidate.id: a.candidate for a in s.asked}
    again = [gate.measure(asked[a.candidate], a.slice) for a in s.answers if a.promoted]
    same = len(again) == len(_measured(s)) and all(map(_close, again, _measured(s)))
    checks.append(
        ReplayCheck("measured", same, f"{len(again)} champions measured {'the same' if same else 'otherwise'}")
    )
    baselines = {name: Candidate(b.tree, b.params) for name, b in task.baselines().items()}
    exam = run_test(
        task.spec.splits.test,
        pool,
        s.champion,
        baselines,
        test.opening,
        lambda done: progress("running the sealed test again", done),
    )
    pairs = [(exam.champion, test.champion)]
    for ours, theirs in ((exam.baselines, test.baselines), (exam.gains, test.gains)):
        pairs += [(e, theirs[name]) for name, e in ours.items() if name in theirs]
    same = all(_close(a, b) for a, b in pairs) and exam.draws == test.draws
    same = same and np.allclose(exam.per_draw, test.per_draw, atol=1e-6)
    same = same and set(exam.baselines) == set(test.baselines) == set(test.gains)
    word = "the same" if same else "otherwise"
    checks.append(
        ReplayCheck("test", same, f"champion and {len(exam.baselines)} baselines score {word} on {exam.draws} draws")
    )
    return checks, _figures(exam.champion, again)


def _verdicts(s: RunHistory, test: Opened, gate: Gate, progress: Progress) -> Iterator[str]:
    """Differences between the answers in the ledger, the revealed verdicts, and the verdicts when judged again."""
    heard = {(a.slice, a.attempt): a for a in s.answers}
    revealed = {(v.slice, v.attempt): v for v in test.gate}
    candidates = {a.candidate.id: a.candidate for a in s.asked}
    paces = {a.candidate.id: a.base_delay_exponent for a in s.asked}
    champions = [Candidate(s.opening.tree, s.opening.space.decode(s.opening.space.default()))]
    champions += [candidates[a.candidate] for a in s.answers if a.promoted]
    for at in sorted(heard.keys() - revealed.keys()):
        yield f"attempt {at[1]} on slice {at[0]} was answered without a verdict"
    told: dict[int, float] = {}
    for count, (at, v) in enumerate(sorted(revealed.items())):
        progress("judging again", count / len(revealed))
        name = f"attempt {v.attempt} on slice {v.slice}"
        answer = heard.get(at)
        if answer is not None and (answer.candidate, answer.promoted, answer.release_slot) != (
            v.candidate,
            v.promoted,
            v.release_slot,
        ):
            yield f"{name}: the answer in the ledger is not the one that was given"
        if (
            not 0 <= v.release_slot < RELEASE_SLOTS
            or v.candidate not in candidates
            or not 1 <= v.slice <= len(champions)
        ):
            yield f"{name}: its verdict does not belong to a candidate, slice or release slot of the ledger"
            continue
        skipped = v.attempt - 1 - sum(a < v.attempt and b == v.slice for b, a in revealed)
        bits = told.get(v.slice, 0.0) + skipped * release_bits(RELEASE_SLOTS - 1)
        told[v.slice] = told.get(v.slice, 0.0) + release_bits(v.release_slot)
        if v.error:
            if v.promoted:
                yield f"{name}: promoted although its work failed"
            continue
        champion = champions[v.slice - 1]
        patience = gate.patience(paces.get(champion.id))
        again = gate.judge(candidates[v.candidate], champion, v.slice, v.attempt, bits, limit_s=patience)
        seen = test.incidents.get(v.candidate, [])  # the run's decoys, and a clock it may have read, cannot be repeated
        refused = not v.promoted and (certain(seen) or any(i.kind == "impure" for i in seen))
        promoted = again.promoted and not refused
        if (promoted, again.draws) != (v.promoted, v.draws) or not _same(again.log_e, v.log_e):
            yield f"{name}: judged {again.promoted} at log e {again.log_e:.3f}, recorded {v.promoted} at {v.log_e:.3f}"
        if not _same(again.level, v.level):
            yield f"{name}: the level was {v.level:.3f}, expected {again.level:.3f}"


def _same(a: float, b: float) -> bool:
    return math.isclose(a, b, rel_tol=CLOSE, abs_tol=CLOSE)


def _close(a: Estimate, b: Estimate) -> bool:
    return all(_same(x, y) for x, y in zip((a.value, a.lo, a.hi, a.se), (b.value, b.lo, b.hi, b.se), strict=True))
