"""What `linux-landlock` leaves to be seen of files that cannot be read, and `linux-full` does not."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from kit import PRELUDE, SPACE, TIERS, box

from toprope.protocols import Dialogue
from toprope.sandbox.box import Case, Job
from toprope.sandbox.memory import PublicMemory
from toprope.types import Array, Call, Outcome, Round

pytestmark = pytest.mark.e2e

VISIBLE = {
    "how large it is": "os.stat(PATH).st_size",
    "when it was written": "os.stat(PATH).st_mtime",
    "whose it is and who may write": "os.stat(PATH).st_mode",
    "that it exists": "os.access(PATH, os.F_OK)",
    "that it exists, by what open says": "code(PATH) == errno.EACCES and code(PATH + '-') == errno.ENOENT",
    "where a link leads": "len(os.readlink(PATH + '-link'))",
    "a handle that cannot be read": "os.open(PATH, os.O_PATH)",
    "that a process exists, and since when": "os.stat(f'/proc/{SCORER}').st_mtime",
}
HIDDEN = {
    "what is in it": "len(open(PATH).read())",
    "what is in it, by a handle": "len(open(os.open(PATH, os.O_PATH)).read())",
    "what lies beside it": "len(os.listdir(os.path.dirname(PATH)))",
    "what program a process runs": "len(os.readlink(f'/proc/{SCORER}/exe'))",
    "where a process works": "len(os.readlink(f'/proc/{SCORER}/cwd'))",
    "what a process was told": "len(open(f'/proc/{SCORER}/cmdline').read())",
    "what files a process has open": "len(os.listdir(f'/proc/{SCORER}/fd'))",
}
SOURCE = f"""{PRELUDE}
import errno
def code(path):
    try:
        os.open(path, os.O_RDONLY)
    except OSError as e:
        return e.errno
def f(path, numbers):
    global PATH, SCORER
    PATH, SCORER = str(path[0]), int(numbers[0])
    try:
        return [float($LOOK)]
    except OSError:
        return [0.0]
"""


def found(look: str, tier: str, path: Path) -> bool:
    def dialogue(entries: frozenset[str]) -> Dialogue:
        return (yield Round((Call("f", ("path", "numbers"), returns=(Array("y", "f8", (1,)),)),)))

    seen: list[float] = []
    files = {"solution.py": SOURCE.replace("$LOOK", look).encode()}
    with PublicMemory.of({"path": np.array([str(path)]), "numbers": np.array([os.getpid()])}) as public:
        job = Job(files, SPACE, np.zeros((1, 1), np.uint8), ["f"], True)
        result = box(tier=tier).run(job, [Case(public, 0, dialogue)], lambda i, o, a: seen.append(o["y"][0, 0]))
    assert result.outcomes == [Outcome.OK], result
    return seen[0] > 0.0


@pytest.fixture
def vault() -> Iterator[Path]:
    """A file like the vault, in a folder that anyone may enter, so that only the sandbox stands before it."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    path = folder / "sealed.db"
    path.write_text("gold")
    (folder / "sealed.db-link").symlink_to(path)
    yield path
    shutil.rmtree(folder)


@pytest.mark.parametrize("what", VISIBLE)
def test_what_landlock_leaves_to_be_seen(what: str, vault: Path) -> None:
    """docs/threat-model.md says so: under linux-landlock a candidate learns of any path that it exists, its size, mode,
    owner, times and where a link leads; under linux-full it learns nothing of it."""
    assert found(VISIBLE[what], "linux-landlock", vault)
    if "linux-full" in TIERS:
        assert not found(VISIBLE[what], "linux-full", vault)


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("what", HIDDEN)
def test_what_no_tier_shows(what: str, tier: str, vault: Path) -> None:
    """Contents, listings, attributes and what processes run and hold stay hidden in every tier."""
    assert not found(HIDDEN[what], tier, vault)
