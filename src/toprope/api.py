"""The Python face: what the command line does, as functions with typed results.

    history = toprope.climb("testing/coin-v1", experiments=64, seed=1, run="my-run")
    history.champion.params, history.measured, history.dev_scores()

A run is a directory, and what is read from it is a `RunHistory`, while it is climbed and afterwards; `summary` gives
the figures of `--json`. Nothing is printed: observers hear every record, `progress` is called during long work, and
the logger "toprope" gets the lines that a terminal would show. Every expected error is a `TopropeError`. An exception
or Ctrl-C ends the session's processes and loses nothing that was recorded: `resume` continues the run.
"""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from toprope import paths, plugins
from toprope.assay.fit import check as fit
from toprope.assay.fit.check import Admission
from toprope.assay.verify import Verification
from toprope.assay.verify import verify as compare
from toprope.errors import RunError, UsageError
from toprope.executors import registry as executors
from toprope.executors.base import MakeExecutor
from toprope.journal.history import RunHistory
from toprope.journal.reading import read, spec_of
from toprope.journal.spec import RunSpec, model_for, named_again
from toprope.models import provider
from toprope.models.messages import SCRIPTED
from toprope.protocols import Climber, Observer, Progress
from toprope.referee.address import parse, reach, read_token
from toprope.referee.client import Connect, own_hub
from toprope.run.accounts import Quota
from toprope.run.driver import Audience
from toprope.run.session import Session
from toprope.run.submit import Submission
from toprope.run.submit import submit as score_one
from toprope.sandbox import ulimits
from toprope.sandbox.selftest import Choice, best_tier
from toprope.sandbox.ulimits import cores
from toprope.tasks import new, registry
from toprope.tasks.registry import Listing
from toprope.types import Candidate
from toprope.view import report as page

AnyPath = str | os.PathLike[str]
MakeClimber = Callable[..., Climber]


# ---------------------------------------------------------------- runs


def climb(
    task: AnyPath | RunSpec,
    *,
    climber: str | MakeClimber = "evolution",
    run: AnyPath | None = None,
    workers: int | None = None,
    executor: str | MakeExecutor | None = None,
    vault: AnyPath | None = None,
    tier: str | None = None,
    trust: bool = False,
    referee: str | None = None,
    referee_token_file: AnyPath | None = None,
    observers: Sequence[Observer] = (),
    progress: Progress | None = None,
    unseal: bool = False,
    report: bool = False,
    **options: Any,
) -> RunHistory:
    """Climbs a task until the budget is spent, and returns what the run recorded.

    task: an id, the folder of a task, or a `RunSpec`, which says everything that `climber` and `options` would.
    climber: a name ("evolution", "random", "replay:FILE", "llm", one that a package registers), MODULE:CLASS, or a
    class that stands at the top of a module; it is called with a space and a seed.
    run: a new directory; None: runs/TASK-TIME. It holds the ledger and can be opened, resumed and verified.
    workers: dev scorers, and as many hidden ones, 1 to 512; None: one for each core.
    executor: what carries practice work: a name ("local", "ray", "dir:PATH", one that a package registers) or
    MODULE:CLASS, which the run records, or a callable as `MakeExecutor` is; None: "local".
    vault: directory of the referee's durable state; None: the user's own. The counts of runs, attempts and openings in
    it are what a result's level comes from: a vault for one run is for tests.
    tier: the sandbox that must hold, "linux-full" or "linux-landlock"; None: the best that proves itself.
    trust: run candidates without a sandbox; the result is marked unprotected and certifies nothing.
    referee, referee_token_file: address and token of a referee service, in place of a hub of our own.
    observers: each hears every record once the ledger holds it; one that raises hears no more, and the run goes on.
    progress: is called with what is being done and the fraction done in [0, 1]; if it raises, the session ends.
    unseal: opens the sealed test at the end. report: writes RUN/report.html at the end.
    options: those of a run, by the names of the command line: experiments, minutes (2 if no budget is given), until,
    patience, seed, rehearsal_secret, beacon_round, and those of researchers and of candidates' models.

    Raises UsageError for an argument that no run can have, NoProtection where no sandbox proves itself, RunError for a
    directory that cannot be used.
    """
    place = _path(vault)
    if isinstance(executor, str):
        options["executor"] = executor
    if not isinstance(task, RunSpec):
        spec = wished(registry.find(os.fspath(task), place), climber, **options)
    elif options or climber != "evolution":
        raise UsageError(f"a RunSpec says all that is asked of a run; leave out {', '.join(['climber', *options])}")
    else:
        spec = task
    able(spec)
    make = _carrier(spec.executor) if executor is None or isinstance(executor, str) else executor
    setting = _Setting(workers, make, place, tier, trust, connect(referee, referee_token_file), observers, progress)
    directory = Path(run) if run is not None else paths.new_run(spec.task)
    return _session(directory, spec, setting, climbing=True, unseal=unseal, report=report)


def resume(
    run: AnyPath,
    *,
    climber: str | MakeClimber | None = None,
    task: AnyPath | None = None,
    workers: int | None = None,
    executor: str | MakeExecutor | None = None,
    vault: AnyPath | None = None,
    tier: str | None = None,
    trust: bool = False,
    referee: str | None = None,
    referee_token_file: AnyPath | None = None,
    candidate_tokens: int | None = None,
    observers: Sequence[Observer] = (),
    progress: Progress | None = None,
    unseal: bool = False,
    report: bool = False,
) -> RunHistory:
    """Goes on with a run where it stopped; one whose budget is spent is returned as it is.

    climber: needed again for a class of your own, which a run directory does not make us load. task: the folder of the
    run's task, if that is your own and was moved. executor: another one than the run's, or the run's again if it is
    a class of your own or reaches a cluster by its address. candidate_tokens: a new cap on what candidates ask
    their model. The rest as in `climb`; `trust` as when the run began.

    Raises RunError for a directory that holds no run, is in use, or is climbed by agents; UsageError as `climb` does.
    """
    directory, place = Path(run), _path(vault)
    spec = known(directory, task, place)
    label = climber if isinstance(climber, str | None) else plugins.target_of(climber)
    if spec is not None:
        named_again(directory, spec.climber, label)
        _resumable(directory, spec)
    link = connect(referee, referee_token_file)
    make = executor if executor is None or not isinstance(executor, str) else _carrier(executor)
    if make is None:
        recorded = spec.executor if spec is not None else None
        make = executors.of_record(recorded, directory) if recorded else _carrier(None)
    setting = _Setting(workers, make, place, tier, trust, link, observers, progress, candidate_tokens, label)
    return _session(directory, None, setting, climbing=True, unseal=unseal, report=report)


def unseal(
    run: AnyPath,
    *,
    beacon: str | None = None,
    task: AnyPath | None = None,
    workers: int | None = None,
    vault: AnyPath | None = None,
    tier: str | None = None,
    trust: bool = False,
    referee: str | None = None,
    referee_token_file: AnyPath | None = None,
    candidate_tokens: int | None = None,
    observers: Sequence[Observer] = (),
    progress: Progress | None = None,
    report: bool = False,
) -> RunHistory:
    """Opens the sealed test of a run for its champion as it stands, which ends the run: `history.test`.

    beacon: the value of the round that the run named when it began, as published. Such a run is committed to its
    champion at first, without a value, and `history.test` stays None until the value is given. The rest as in `resume`.

    Raises RunError for a run that has nothing to test, UsageError for a beacon's value that decides nothing.
    """
    directory, place = Path(run), _path(vault)
    known(directory, task, place)
    link = connect(referee, referee_token_file)
    setting = _Setting(workers, _carrier(None), place, tier, trust, link, observers, progress, candidate_tokens)
    return _session(directory, None, setting, unseal=True, beacon=beacon, report=report)


def open_run(run: AnyPath) -> RunHistory:
    """What a run has recorded so far, read only; it may be at work. Raises RunError for a directory that holds no run,
    or one that is damaged."""
    return read(Path(run))


def verify(
    run: AnyPath,
    *,
    task: AnyPath | None = None,
    report_file: AnyPath | None = None,
    workers: int | None = None,
    vault: AnyPath | None = None,
    trust: bool = False,
    progress: Progress | None = None,
) -> Verification:
    """Checks a run by running it again from its directory: chain, secret, verdicts, measurements, sealed test, a sample
    of experiments, the report.

    task: as in `resume`. report_file: the page to compare; None: RUN/report.html. vault: what it remembers of the run
    is compared, too.

    Raises RunError for a directory without a run, and for a run that this version cannot repeat.
    """
    directory, place = Path(run), _path(vault)
    known(directory, task, place)
    file = _path(report_file)
    choice, quiet = _choice(trust, None), progress or _quiet
    return compare(directory, file, choice.tier, workers or cores(), place or paths.vault(), page.render, quiet)


def write_report(run: AnyPath, output: AnyPath | None = None, *, task: AnyPath | None = None) -> Path:
    """Writes a run's report, one HTML page that works offline, and returns its path. output: None: RUN/report.html.
    Raises UsageError for a file that cannot be written, RunError as `open_run` does."""
    directory = Path(run)
    known(directory, task)
    return page.write(directory, _path(output))


# ---------------------------------------------------------------- tasks


def list_tasks() -> list[Listing]:
    """The tasks of installed packages and those of the folders in TOPROPE_TASKS, sorted by id."""
    return registry.available()


def new_task(directory: AnyPath, task_id: str | None = None) -> str:
    """Writes a small task of your own into a new directory, which works as it is and is there to be changed; returns
    its id. Every function takes the directory as a task. task_id: family/name-vN; None: own/DIRECTORY-v1. Raises
    UsageError for a directory that is not empty, and for an id that is taken or malformed."""
    return new.new(Path(directory), task_id)


def submit(
    task: AnyPath,
    candidate: AnyPath | Candidate,
    *,
    params: AnyPath | Mapping[str, Any] | None = None,
    seed: int = 0,
    candidate_model: str | None = None,
    candidate_tokens: int | None = None,
    vault: AnyPath | None = None,
    tier: str | None = None,
    trust: bool = False,
    progress: Progress | None = None,
) -> Submission:
    """Scores one candidate on a task's dev draws, without a run.

    candidate: a directory that holds solution.py, or a `Candidate`. params: of a directory, in place of its
    params.json: values by name, or a JSON file. seed: of the dev draws, from 0 on. candidate_model, candidate_tokens:
    PROVIDER/NAME that it may ask, where the task allows one, and a hard cap on its tokens. The rest as in `climb`.

    Raises UsageError for a candidate that cannot be read. One that fails on a draw is a result, with its outcome.
    """
    place = _path(vault)
    name = registry.find(os.fspath(task), place)
    _not_both(trust, tier)
    model = asks(name, candidate_model, candidate_tokens)
    what = candidate if isinstance(candidate, Candidate) else Path(candidate)
    given = params if params is None or isinstance(params, Mapping) else Path(params)
    return score_one(name, what, given, seed, lambda: _choice(trust, tier), progress or _quiet, model, place)


def check(
    task: AnyPath, *, probes: AnyPath | None = None, workers: int | None = None, progress: Progress | None = None
) -> Admission:
    """Judges whether a task is fit to be climbed: draws, gap, answers without thought, baselines, and a climb on its
    null-skill twin in a vault of its own.

    probes: a directory of candidate directories that must not score. Raises UsageError for a task that cannot be
    loaded.
    """
    name = registry.find(os.fspath(task))
    return fit.check(name, _path(probes), best_tier().tier, workers or cores(), progress or _quiet)


# ---------------------------------------------------------------- what is asked for


def wished(task: str, climber: str | MakeClimber = "evolution", **options: Any) -> RunSpec:
    """The spec of a new run, from keywords. task: an id. Raises UsageError as `RunSpec.from_keywords` does."""
    label = climber if isinstance(climber, str) else plugins.target_of(climber)
    if label == "external":
        raise UsageError(f"--climber external is not for this command; for agents of your own use `toprope mcp {task}`")
    if label == "llm" and not options.get("direction"):
        from toprope.researchers import team

        options["direction"] = team.directions(registry.load(task).spec, None)
    return RunSpec.from_keywords(task, label, **options)


def able(spec: RunSpec) -> None:
    """Raises UsageError for models that cannot be used, before a directory or the vault is touched."""
    if spec.candidate_model is not None and spec.candidate_model.model != SCRIPTED:
        provider.get("--candidate-model", spec.candidate_model.model)
    if spec.plan is not None and spec.plan.model:
        from toprope.researchers import team

        provider.get("--model", spec.plan.model)
        team.priced(spec.plan.model, spec.plan.prices, spec.plan.dollars)


def asks(task: str, model: str | None, tokens: int | None) -> Any:
    """The model that one candidate may ask; None if the task allows no model. Raises UsageError for a model that cannot
    be used."""
    given = {"model": model, "tokens": tokens}
    found = model_for(task, {name: value for name, value in given.items() if value is not None})
    if model not in (None, SCRIPTED):
        provider.get("--candidate-model", model)
    return found


def connect(address: str | None, token_file: AnyPath | None) -> Connect:
    """What connects to a hub of our own (address None), or to the service at this address."""
    return own_hub if address is None else reach(parse(address), read_token(_path(token_file)))


def known(run: Path, folder: AnyPath | None, vault: Path | None = None) -> RunSpec | None:
    """Registers the task of a run, even if it lies in a folder of its own, and returns the run's spec. Returns None for
    a directory without a readable run; the caller then says what is wrong with it."""
    try:
        spec = spec_of(run)
    except RunError:
        return None
    if spec is not None:
        registry.for_run(spec.run, spec.task, _path(folder), vault)
    return spec


def _resumable(run: Path, spec: RunSpec) -> None:
    """Raises RunError for a run that cannot be continued here, before the vault counts a session."""
    if spec.plan is None:
        return
    if not spec.plan.model:
        words = shlex.join(["toprope", "mcp", spec.task, "--run", str(run)])
        raise RunError(f"run {run} is climbed by agents of your own; continue it with `{words}`")
    if not spec.plan.directions:
        raise RunError(f"run {run} names no directions for its researchers and cannot be continued; begin a new run")


def _path(given: AnyPath | None) -> Path | None:
    return None if given is None else Path(given)


def _quiet(what: str, done: float) -> None:
    """Shows no progress."""


def _carrier(word: str | None) -> MakeExecutor:
    return executors.named(word or "local").make


def _not_both(trust: bool, tier: str | None) -> None:
    if trust and tier is not None:
        raise UsageError(f"--tier {tier} and --i-trust-the-candidates contradict each other; give one of them")


def _choice(trust: bool, tier: str | None) -> Choice:
    ulimits.require()
    return Choice("none") if trust else best_tier(tier)


# ---------------------------------------------------------------- a session


class _Setting(NamedTuple):
    """The arguments of `climb` that concern a session. tokens: a new cap. climber: the label, named again."""

    workers: int | None
    executor: MakeExecutor
    vault: Path | None
    tier: str | None
    trust: bool
    link: Connect
    observers: Sequence[Observer]
    progress: Progress | None
    tokens: int | None = None
    climber: str | None = None


def _session(
    directory: Path,
    spec: RunSpec | None,
    setting: _Setting,
    *,
    climbing: bool = False,
    unseal: bool = False,
    beacon: str | None = None,
    report: bool = False,
) -> RunHistory:
    """One session: climb, unseal and report as the arguments ask. The history says where the time went."""
    _not_both(setting.trust, setting.tier)
    began, spent = time.monotonic(), dict[str, float]()

    def lap(phase: str) -> None:
        spent[phase] = max(0.0, round(time.monotonic() - began - sum(spent.values()), 1))

    def tier(past: str | None) -> Choice:
        return _choice(setting.trust, setting.tier if past in (None, "none") else past)

    audience = Audience(setting.observers, setting.progress)
    with Session(
        directory,
        spec,
        tier,
        setting.workers or cores(),
        audience,
        setting.link,
        setting.tokens,
        setting.executor,
        setting.climber,
        setting.vault,
        setting.observers,
    ) as session:
        lap("start_s")
        if climbing:
            _climbed(session)
            if audience.waited:
                spent["gate_s"] = round(audience.waited, 1)
            lap("climb_s")
        if unseal:
            session.unseal(beacon)
            lap("test_s")
    history = read(directory)
    if report or (directory / page.NAME).exists():  # keep an existing page up to date
        page.write(directory)
    history.session_s = {**spent, "total_s": round(time.monotonic() - began, 1)}
    return history


def _climbed(session: Session) -> None:
    """Climbs by the climber that the run names: one that proposes rows, or researchers with submissions."""
    o = session.opening.spec
    if line := _model_forecast(session):
        session.screen.say(line)
    if o.plan is None:
        session.climb()
        return
    from toprope.researchers import team

    for line in team.forecast(o.plan):
        session.screen.say(line)
    submissions = session.submissions(Quota.of(o.plan))
    left = None if o.minutes is None else 60 * o.minutes - submissions.elapsed
    if submissions.left and (left is None or left > 0):
        team.work(submissions, session.task, o.plan, session.directory, o.seed, left, session.screen.say)
        submissions.settled()


def _model_forecast(session: Session) -> str:
    """What asking a model may cost at most; empty where candidates ask no model, or a script, which costs nothing."""
    asked, use, splits = session.opening.spec.candidate_model, session.task.spec.model, session.task.spec.splits
    if asked is None or use is None or asked.model == SCRIPTED:
        return ""
    cap = session.tokens
    said = "no cap on tokens (--candidate-tokens)" if cap is None else f"at most {cap:,} tokens, and as many hidden"
    return (
        f"candidates ask {asked.model}: at most {use.calls * splits.rungs[-1]:,} questions an experiment, "
        f"{use.calls * 2 * splits.val_slice:,} an attempt; {said}"
    )
