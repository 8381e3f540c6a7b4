"""The outer wall of `linux-full`: a bubblewrap command line that runs the zygote in an empty environment.

Its root is an empty read-only tmpfs with the allow-list bound into it and nothing else: no /proc, no home, no writable
place. It has its own processes, network (an empty loopback), System V memory, host name and cgroup view. Inside, the
harness sets up Landlock, seccomp and limits exactly as without namespaces.

Root can make these namespaces directly and changes to another uid inside, so it needs no user namespace; an ordinary
user makes one, and `--disable-userns` forbids further ones. Not covered: kernel bugs, the clock, the machine's load.

Source: bwrap(1) of bubblewrap 0.8, namespaces(7), user_namespaces(7).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Set
from pathlib import Path
from typing import NamedTuple

from toprope.errors import NoProtection

PLACES = ("/usr/bin/bwrap", "/usr/local/bin/bwrap", "/run/current-system/sw/bin/bwrap")  # never by PATH
KINDS = ("mnt", "pid", "net", "ipc", "uts", "cgroup")
HOST = "sandbox"  # the same on every machine: what a candidate sees must not depend on it
OVERFLOW = 65534  # the owner of root's files in a user namespace that does not map root
LINKS_MAX = 40  # as the kernel's own limit, path_resolution(7)


def installed() -> str | None:
    """Path of bubblewrap; None if it is not installed. Raises NoProtection if users other than root and us could change
    it."""
    for place in PLACES:
        if os.path.isfile(place) and os.access(place, os.X_OK):
            for p in (Path(place).resolve(), *Path(place).resolve().parents):
                s = p.stat()
                shared = s.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not s.st_mode & stat.S_ISVTX
                if shared or s.st_uid not in (0, os.geteuid(), OVERFLOW):
                    raise NoProtection(f"{place} could be changed by others through {p}; make it root's alone")
            return place
    return None


def kinds() -> list[str]:
    """The namespaces of a zygote: bubblewrap ends if it cannot make one of them."""
    return sorted((*KINDS, "user")) if os.geteuid() else sorted(KINDS)


class Layout(NamedTuple):
    """What is bound. tops: files and folders at their real paths. holes: folders in them that stay empty. links:
    symbolic links on the way to them, link -> target as written."""

    tops: frozenset[str]
    holes: frozenset[str]
    links: dict[str, str]


def layout(readable: Iterable[str], folder: str, hidden: Iterable[str]) -> Layout:
    """readable: the allow-list. folder: bound as a whole, except for the paths `hidden` in it.

    One folder with holes is bound instead of its two hundred entries, because for each bind bubblewrap looks through
    all earlier ones.
    """
    files, links = _resolved([*readable, folder])
    below = os.path.realpath(folder) + "/"
    holes = {h for h in map(os.path.realpath, hidden) if h.startswith(below) and os.path.isdir(h)}
    tops: set[str] = set()
    for path in sorted(files, key=_parts):
        if _ours(path, tops, holes):
            tops.add(path)
    return Layout(frozenset(tops), frozenset(holes), links)


def arguments(plan: Layout, root: str = "") -> list[str]:
    """bubblewrap's arguments. root: of a tree with copies (`copies.py`), "" for the originals."""
    tops, holes, links = plan
    made = {top: ["--ro-bind", root + top, top] for top in tops}
    made |= {top: ["--dev-bind", top, top] for top in tops if top.startswith("/dev/")}
    made |= {hole: ["--tmpfs", hole] for hole in holes}
    made |= {link: ["--symlink", target, link] for link, target in links.items() if _ours(link, tops, holes)}
    above = {str(p) for path in made for p in Path(path).parents} - set(made) - {"/"}
    made |= {d: ["--perms", "0755", "--dir", d] for d in above if _ours(d, tops, holes)}
    said = ["--unshare-" + kind for kind in KINDS if kind != "mnt"]
    if os.geteuid():
        said += ["--unshare-user", "--disable-userns", "--cap-drop", "ALL"]
    said += ["--as-pid-1", "--hostname", HOST]
    for path in sorted(made, key=_parts):  # parents first
        said += made[path]
    for path in (*sorted(holes), "/"):
        said += ["--remount-ro", path]
    return [*said, "--chdir", "/"]


def _ours(path: str, tops: Set[str], holes: Set[str]) -> bool:
    """Whether this path must be made, because no folder above it is bound, or because it lies in a hole."""
    for p in map(str, Path(path).parents):
        if p in holes or p in tops:
            return p in holes
    return True


def _parts(path: str) -> tuple[str, ...]:
    return Path(path).parts


def _resolved(paths: Iterable[str]) -> tuple[set[str], dict[str, str]]:
    """The real locations of these paths, and the symbolic links on the way: link -> target as written."""
    files, links = set(), {}
    for path in paths:
        for here, target in _walk(path):
            if target is not None:
                links[here] = target
            elif os.path.exists(here):
                files.add(here)
    return files, links


def _walk(path: str) -> Iterator[tuple[str, str | None]]:
    """(link, target) for every link on the way, and finally (real path, None)."""
    at, parts, met = "/", path.split("/"), 0
    while parts:
        part = parts.pop(0)
        here = os.path.normpath(os.path.join(at, part))
        if os.path.islink(here) and (met := met + 1) < LINKS_MAX:
            target = os.readlink(here)
            yield here, target
            parts = target.split("/") + parts
            at = "/" if target.startswith("/") else at
        else:
            at = here
    yield at, None
