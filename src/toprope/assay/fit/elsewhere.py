"""Whether draws are the same in every process: each is made in several, and differences point to the cause.

    python -P -m toprope.assay.fit.elsewhere TASK     prints digests of draws and scores as one JSON object

Two processes have the same settings; two others have another hash seed, time zone, locale and working directory, all at
once. Only if something differs, the settings are changed one by one. All have one BLAS thread, like every scorer.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import get_args

import msgspec

from toprope import output, wire
from toprope.assay.fit.answers import null_score, ways
from toprope.assay.fit.row import Check
from toprope.errors import TopropeError
from toprope.protocols import Task
from toprope.seeding import derive
from toprope.tasks import registry
from toprope.tasks.guarded import drawn, said
from toprope.tasks.mark import digest
from toprope.types import Draw, Split

DRAWS = 2  # of every split
SPLITS: tuple[Split, ...] = get_args(Split)
FOLDERS = ("TOPROPE_TASKS", "TOPROPE_VAULT", "TOPROPE_CACHE", "XDG_CACHE_HOME", "XDG_DATA_HOME")  # may be relative

Found = dict[str, str]  # "public part of draw 0 of dev" -> digest, or an error


class ProcessSetting(msgspec.Struct, frozen=True):
    """Settings of a process: changed environment variables, and whether it runs in an empty directory."""

    environment: Mapping[str, str] = {}
    away: bool = False


HERE = ProcessSetting()
WEST, EAST = "WEST+12", "EAST-14"  # POSIX time zones 26 hours apart: at every moment they have different dates
CAUSES = {  # cause of a difference -> the only setting that is changed
    "the process itself: its number, the clock, or a generator without a seed": HERE,
    "the hash seed: it iterates over a set, or uses hash()": ProcessSetting({"PYTHONHASHSEED": "1"}),
    "the time zone: it asks for local time": ProcessSetting({"TZ": EAST}),
    "the date in another time zone: it asks for local time": ProcessSetting({"TZ": WEST}),
    "the locale": ProcessSetting({"LC_ALL": "C", "LANG": "C"}),
    "the locale's encoding": ProcessSetting({"LC_ALL": "C.UTF-8", "LANG": "C.UTF-8"}),
    "the working directory: it opens a file by a relative name": ProcessSetting({}, away=True),
}
ALL = (
    ProcessSetting({"PYTHONHASHSEED": "1", "TZ": EAST, "LC_ALL": "C", "LANG": "C"}, away=True),
    ProcessSetting({"PYTHONHASHSEED": "2", "TZ": WEST, "LC_ALL": "C.UTF-8", "LANG": "C.UTF-8"}, away=True),
)


def repeats_elsewhere(task_id: str, workers: int) -> Check:
    """Whether draws and scores are the same in other processes; names the first difference and its likely cause."""
    first, *others = _made(task_id, [HERE, HERE, *ALL], workers)
    differ = _differing(first, others)
    why = "draws and scores are the same in processes with other hash seeds, time zones, locales and directories"
    if differ:
        why = f"{differ[0]} differs between processes{_more(differ)}; {_cause(task_id, first, workers)}"
    return Check("draws repeat elsewhere", not differ, len(differ), 0, why)


def _differing(first: Found, others: list[Found]) -> list[str]:
    return [name for name in first if any(other[name] != first[name] for other in others)]


def _more(differ: list[str]) -> str:
    return f", and {len(differ) - 1} more do" if len(differ) > 1 else ""


def _cause(task_id: str, first: Found, workers: int) -> str:
    for cause, found in zip(CAUSES, _made(task_id, list(CAUSES.values()), workers), strict=True):
        if differ := _differing(first, [found]):
            failed = found[differ[0]] if found[differ[0]].startswith(FAILED) else ""
            return f"it depends on {cause}" + (f" ({failed})" if failed else "")
    return "it depends on something that changes from process to process"


# ---------------------------------------------------------------- the processes

FAILED = "it failed: "


def _made(task_id: str, places: list[ProcessSetting], workers: int) -> list[Found]:
    """The digests from each setting, in order."""
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(lambda place: _made_in(task_id, place), places))


def _made_in(task_id: str, place: ProcessSetting) -> Found:
    known = {n: os.pathsep.join(map(os.path.abspath, v.split(os.pathsep))) for n in FOLDERS if (v := os.environ.get(n))}
    with tempfile.TemporaryDirectory() as empty:
        done = subprocess.run(
            wire.command(__name__, task_id),
            capture_output=True,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            cwd=empty if place.away else None,
            env=wire.child_environment({**known, **place.environment}),
            check=False,
        )
    if done.returncode == 0:
        return msgspec.json.decode(done.stdout, type=Found)
    last = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
    return dict.fromkeys(_names(), FAILED + last[:300])


PARTS = ("public part", "gold, floor or ceiling", "score of one answer")


def _names() -> list[str]:
    return [f"{part} of draw {i} of {split}" for split in SPLITS for i in range(DRAWS) for part in PARTS]


def _digests(task: Task) -> Iterator[tuple[str, str]]:
    """(name, digest) of every part, in the order of `_names`."""
    entries: list[frozenset[str]] = []
    for split in SPLITS:
        task.prepare(split, lambda *_: None)
        for i in range(DRAWS):
            draw = drawn(task, split, i, derive(b"elsewhere", split, i))
            entries = entries or ways(task, draw)[:1]
            private = (draw.private, draw.floor, draw.ceiling, draw.group)
            found = (draw.public, private, _score(task, draw, entries))
            yield from ((f"{part} of draw {i} of {split}", digest(x)) for part, x in zip(PARTS, found, strict=True))


def _score(task: Task, draw: Draw, entries: list[frozenset[str]]) -> float:
    return null_score(task, draw, entries[0], "random", 0) if entries else 0.0


def main() -> None:
    output.claim()
    try:
        output.say(json.dumps(dict(_digests(registry.load(sys.argv[1])))))
    except TopropeError as e:
        sys.exit(str(e))
    except Exception as e:
        sys.exit(said(e))


if __name__ == "__main__":
    main()
