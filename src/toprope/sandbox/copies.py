"""A private copy of the files that candidates may read, for hidden work: no page is shared with other processes.

Files that two processes read are the same pages of the kernel's cache. A process that can tell whether a page is in
memory (by a timed read, or preadv2 with RWF_NOWAIT) learns which files a candidate on hidden draws has touched:
hundreds of bits an attempt (tests/researchers/test_covert.py). Workspaces and practice scorers read the originals, so
children that see hidden draws get files of their own. One copy serves all hubs of a user. It lies in the cache, and
its name is a digest of its sources, so that an update of Python or NumPy makes a new copy.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from toprope import paths
from toprope.errors import NoProtection
from toprope.sandbox.namespaces import Layout

LEFT_OUT = ("*.a", "config-*", "__pycache__.tmp*")  # static libraries and others that are not read at run time


def home() -> Path:
    """Where copies lie. Only their owner can read this folder; workspaces and children do not see it."""
    return paths.cache() / "interpreter"


def copied(plan: Layout) -> Path:
    """The root of a tree with a copy of every file and folder of the plan under its own path, without devices and the
    contents of holes. It is made once. Raises NoProtection if it cannot be made."""
    tops, left_out = sorted(t for t in plan.tops if not t.startswith("/dev/")), plan.holes
    root = home() / _digest(tops, left_out)
    if root.is_dir():
        return root
    try:
        root.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        root.parent.chmod(0o700)
        making = Path(tempfile.mkdtemp(prefix="making-", dir=root.parent))
        making.chmod(0o755)
        for top in tops:
            _copy(Path(top), making, left_out)
        for hole in left_out:
            (making / hole.lstrip("/")).mkdir(parents=True, exist_ok=True)  # a mount point
        for link, target in plan.links.items():
            _link(making, link, target)
        _take_place(making, root)
    except OSError as e:
        raise NoProtection(
            f"no private copy of the interpreter could be made in {root.parent} ({e.strerror or e}); hidden work needs "
            "one: free some 300 MB there, or set XDG_CACHE_HOME to a folder on another disk"
        ) from e
    return root


def _take_place(making: Path, root: Path) -> None:
    try:
        making.rename(root)
    except OSError:  # another hub was faster
        shutil.rmtree(making)
        if not root.is_dir():
            raise


def _copy(top: Path, root: Path, holes: frozenset[str]) -> None:
    place = root / top.relative_to("/")
    place.parent.mkdir(parents=True, exist_ok=True)
    if not top.is_dir():
        shutil.copy2(top, place)
        return
    leave = shutil.ignore_patterns(*LEFT_OUT)

    def ignored(folder: str, names: list[str]) -> set[str]:
        return leave(folder, names) | {n for n in names if os.path.join(folder, n) in holes}

    shutil.copytree(top, place, symlinks=True, ignore=ignored, dirs_exist_ok=True)


def _link(root: Path, link: str, target: str) -> None:
    """Makes the link again, with its target in the same tree."""
    place, folder = root / link.lstrip("/"), os.path.dirname(link)
    if not os.path.lexists(place):
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(os.path.relpath(os.path.join(folder, target), folder))


def _digest(tops: list[str], holes: frozenset[str]) -> str:
    """A digest of every path with its size and time, because reading the contents would take seconds."""
    said = hashlib.sha256()
    for path, size, changed in _listed(tops, holes):
        said.update(f"{path}\0{size}\0{changed}\n".encode("utf-8", "surrogateescape"))
    return said.hexdigest()[:16]


def _listed(tops: list[str], holes: frozenset[str]) -> Iterator[tuple[str, int, int]]:
    for top in tops:
        yield from _stated(top)
        for folder, folders, files in os.walk(top):
            folders[:] = sorted(f for f in folders if os.path.join(folder, f) not in holes)
            for name in sorted(files):
                yield from _stated(os.path.join(folder, name))


def _stated(path: str) -> Iterator[tuple[str, int, int]]:
    state = os.lstat(path)
    yield path, state.st_size if not os.path.isdir(path) else 0, 0 if os.path.isdir(path) else state.st_mtime_ns
