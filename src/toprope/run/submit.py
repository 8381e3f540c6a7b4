"""One candidate directory on a task's dev draws: what `toprope submit` does, without a run and without the hub."""

from __future__ import annotations

import difflib
import json
import os
import re
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from toprope import notebook, seeding, wire
from toprope.errors import UsageError
from toprope.executors.local import LocalExecutor
from toprope.executors.messages import Done, ScorerConfig, Work
from toprope.journal.spec import CandidateModel
from toprope.journal.verdict import verdict
from toprope.models.broker import broker_for
from toprope.protocols import Task, TaskSpec
from toprope.referee.bounds import MAX_FILES, MAX_FOLDERS, MAX_LEVELS, check_candidate
from toprope.referee.bounds import depth as nested
from toprope.sandbox.selftest import Choice
from toprope.space import several
from toprope.stats.intervals import ratio, told
from toprope.tasks import registry
from toprope.types import Block, Candidate, Incident, Outcome, Tree

IGNORED = {"params.json", "__pycache__"}
ANY_NAME = re.compile(  # code that reads all parameters, whatever their names are
    rb"\*\*\s*params|params\s*\.\s*(items|keys|values|copy)|\bfor\s[^:\n]{1,80}\sin\s+params|dict\(params"
)


class DevScore(msgspec.Struct, frozen=True):
    """value: normalised (0 at the floor, 1 at the ceiling), mean over so many dev draws. se: its standard error."""

    value: float
    se: float
    draws: int


class AskedModel(msgspec.Struct, frozen=True):
    """What a candidate asked of a language model. name: PROVIDER/NAME, or "scripted". tokens: of questions and
    replies, by the provider's count."""

    name: str
    tokens: int


class SubmissionCost(msgspec.Struct, frozen=True):
    """Seconds, sandbox and scorer included. wall_s: from start to end. cpu_s: of the candidate's child."""

    wall_s: float
    cpu_s: float


class Submission(msgspec.Struct, frozen=True, kw_only=True):
    """One candidate on a task's dev draws: practice data, so it proves nothing. The fields are those of
    `toprope submit --json`.

    candidate: id, a sha256 of files and parameters. outcome, message: how it ended, and the candidate's own words where
    that is not "ok". dev: None unless it scored. verdict: clean, hardcoded or cheating; None if it did nothing that
    could be judged. model: absent for a task whose candidates ask none. protection: what the sandbox proved.
    """

    candidate: str
    task: str
    outcome: Outcome
    message: str | None
    dev: DevScore | None
    incidents: list[Incident]
    verdict: str | None
    model: AskedModel | msgspec.UnsetType = msgspec.UNSET
    protection: dict[str, Any]
    cost: SubmissionCost

    def _repr_html_(self) -> str:
        dev = self.dev
        rows = [
            ("outcome", str(self.outcome)),
            ("dev (practice)", "-" if dev is None else f"{told(dev.value, dev.se, 3)} over {dev.draws} draws"),
            ("verdict", self.verdict or "-"),
            *([("message", self.message)] if self.message else []),
            *(("incident", f"{i.kind} ({i.severity}): {i.evidence}") for i in self.incidents),
            ("protection", str(self.protection.get("tier", "unknown"))),
        ]
        return notebook.block(f"{self.task}: candidate {self.candidate[:12]}", rows)


def read_candidate(directory: Path, params: Path | None, spec: TaskSpec) -> Candidate:
    """Files and parameters of a candidate directory. Raises UsageError naming what is wrong with it."""
    if not directory.is_dir():
        raise UsageError(f"candidate {directory} is not a directory; expected one that holds solution.py")
    if not (directory / "solution.py").is_file():
        raise UsageError(f"candidate {directory} holds no solution.py; it must define one of {', '.join(spec.entries)}")
    try:
        files = _read_files(directory, spec)
    except OSError as e:
        raise UsageError(f"candidate file {e.filename}: {e.strerror}; every file must be readable") from e
    own = directory / "params.json"
    if params is None and not os.path.lexists(own):
        return Candidate(Tree(files), {})
    if params is None and own.is_symlink():  # it may lead to a file that only this user may read
        raise UsageError(f"candidate file {own} is a symbolic link; a candidate is plain files only")
    return Candidate(Tree(files), _read_params(params or own, spec.max_tree_bytes))


def _read_files(directory: Path, spec: TaskSpec) -> dict[str, bytes]:
    """path -> contents. Stops at the first byte too many, so that a wrong directory is refused at once, however large
    it is."""
    files: dict[str, bytes] = {}
    size = 0
    for number, path in enumerate(_plain(directory)):
        if number == MAX_FILES:
            raise UsageError(f"candidate {directory} has more than {MAX_FILES} files and folders (up to {path.name!r})")
        if path.is_dir():
            continue
        size += path.stat().st_size
        if size > spec.max_tree_bytes:
            raise UsageError(
                f"candidate {directory} has more than the {spec.max_tree_bytes} bytes that {spec.id} allows "
                f"(reached at {path.name})"
            )
        files[path.relative_to(directory).as_posix()] = path.read_bytes()
    return files


def _plain(directory: Path, depth: int = 0) -> Iterator[Path]:
    """Files and folders, each folder before its contents. Raises UsageError for anything but plain files and
    folders."""
    if depth > MAX_FOLDERS:
        raise UsageError(f"candidate folder {directory} lies more than {MAX_FOLDERS} folders deep")
    for path in sorted(directory.iterdir()):
        if path.name in IGNORED:
            continue
        if not path.name.isprintable():
            raise UsageError(f"candidate file {path.name!r} has a name that cannot be printed; rename it")
        if path.is_symlink():
            raise UsageError(f"candidate file {path} is a symbolic link; a candidate is plain files only")
        if not path.is_dir() and not path.is_file():
            raise UsageError(f"candidate file {path} is a pipe, socket or device; a candidate is plain files only")
        yield path
        if path.is_dir():
            yield from _plain(path, depth + 1)


def _read_params(path: Path, most: int) -> dict[str, Any]:
    expected = f"expected a JSON object of names and values in a plain file of at most {most} bytes"
    if path.exists() and not path.is_file():  # reading a pipe might never end
        raise UsageError(f"parameters {path} are not in a plain file; {expected}")
    try:
        with path.open("rb") as f:
            data = f.read(most + 1)
        if len(data) > most:
            raise UsageError(f"parameters {path} are longer; {expected}")
        params = json.loads(data.decode("utf-8"), parse_constant=_no_constant, object_pairs_hook=_no_repeats)
        json.dumps(params, allow_nan=False)  # 1e999 is read as infinity
        wire.encode(params)  # integers beyond 64 bits, lone surrogates
    except UsageError:
        raise
    except (OSError, ValueError, OverflowError, RecursionError) as e:
        raise UsageError(f"parameters {path}: {str(e)[:200]}; {expected}") from e
    if not isinstance(params, dict):
        raise UsageError(f"parameters {path} hold a {type(params).__name__}; {expected}")
    if nested(params) > MAX_LEVELS:
        raise UsageError(f"parameters {path} are nested more than {MAX_LEVELS} deep; {expected}")
    return params


def _check_names(candidate: Candidate, task: Task) -> None:
    """Raises UsageError for a parameter that neither the task's space nor a file of the candidate names. Not checked if
    the code takes all parameters together, or the task has no space."""
    code = b"\n".join(candidate.tree.files.values())
    if task.space is None or ANY_NAME.search(code):
        return
    names = [d.name for d in task.space.dims]
    for name in candidate.params:
        if name not in names and name.encode("utf-8", "surrogatepass") not in code:
            near = difflib.get_close_matches(name, names, 1, 0.6)
            meant = f" (did you mean {near[0]!r}?)" if near else ""
            raise UsageError(
                f"parameter {name!r}{meant} is named neither by the space of {task.spec.id} nor in the candidate's "
                "files; correct it or leave it out"
            )


def _no_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("one name occurs twice")
    return found


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not a finite number")


def submit(
    task_id: str,
    submitted: Path | Candidate,
    params: Path | Mapping[str, Any] | None,
    seed: int,
    tier: Callable[[], Choice],
    progress: Callable[[str, float], None],
    asks: CandidateModel | None = None,
    vault: Path | None = None,
) -> Submission:
    """Scores one candidate. submitted: a candidate, or its directory, with its parameters in it or in `params`. tier:
    self-tests and returns a tier; called after the candidate has been read. asks: the model that the candidate may ask,
    if the task allows one. vault: whose secret the task uses; None: this user's. Raises UsageError for a directory that
    does not hold a valid candidate, and for a candidate that breaks a limit of the task."""
    task = registry.load(task_id, vault)
    if isinstance(submitted, Candidate):
        candidate = submitted
    elif isinstance(params, Mapping):
        candidate = Candidate(read_candidate(submitted, None, task.spec).tree, dict(params))
    else:
        candidate = read_candidate(submitted, params, task.spec)
    check_candidate(candidate, task.spec)
    _check_names(candidate, task)
    start = time.monotonic()
    choice = tier()
    config = ScorerConfig(
        task_id, {"dev": seeding.dev_secret(seed)}, choice.tier, secrets.token_bytes(16), vault=str(vault or "")
    )
    broker = broker_for(task, asks.model, asks.tokens) if asks is not None else None
    pool = LocalExecutor(config, 1, progress, broker=broker)
    try:
        space, rows = several([candidate.params])
        tree, digest = pool.load(candidate.tree, space)
        block = Block(tree, digest, rows, tuple(range(task.spec.splits.rungs[-1])))
        (done,) = pool.run([Work(0, block, "dev", detail=True)])
        protection = pool.protection | ({"instead": choice.instead} if choice.instead else {})
    finally:
        pool.close()
    found = {
        "candidate": candidate.id,
        "task": task_id,
        **_judged(done, task.spec.answer_kinds),
        **({} if asks is None else {"model": {"name": asks.model, "tokens": broker.spent if broker else 0}}),
        "protection": protection,
        "cost": {"wall_s": round(time.monotonic() - start, 3), "cpu_s": round(done.result.cpu_s, 3)},
    }
    return msgspec.convert(found, Submission)


def _judged(done: Done, answer_kinds: list[str]) -> dict[str, Any]:
    outcome = done.result.outcomes[0]
    message = done.result.messages.get(0)
    incidents = [msgspec.structs.asdict(i) for i in done.result.incidents.get(0, [])]
    dev = None
    if outcome is Outcome.OK:
        e = ratio(done.result.scores[0], done.floors, done.ceilings)
        dev = {"value": round(e.value, 4), "se": round(e.se, 4), "draws": len(done.floors)}
    said: str | None = verdict(((i["kind"], i["severity"]) for i in incidents), answer_kinds)
    if said == "clean" and outcome is not Outcome.OK:
        said = None  # a candidate that did not run has no verdict
    return {"outcome": str(outcome), "message": message, "dev": dev, "incidents": incidents, "verdict": said}
