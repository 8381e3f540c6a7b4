"""The configuration of a zygote: sources, seccomp filters, allow-list of readable files, identity."""

from __future__ import annotations

import hashlib
import importlib.util
import platform
import stat
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from toprope.errors import NoProtection, UsageError
from toprope.sandbox import copies, libraries, namespaces

HERE = Path(__file__).parent
UID = 64733  # unused: outside the ranges that distributions and systemd give to services
INTERPRETER = Path(getattr(sys, "_base_executable", "") or sys.executable).resolve()  # a venv's is a link or a copy
NOT_READ = ("site-packages", "dist-packages", "test", "ensurepip", "idlelib")  # folders of the standard library
# Files of inside/, in the order of their imports.
PARTS = ("layers", "decoys", "cases", "model", "channel", "files", "calls", "candidate", "zygote")
PROFILES = {"numpy": (("numpy",), ("numpy.random", "numpy.linalg", "numpy.fft"))}  # distributions, modules to preload


def config(profile: str, off: frozenset[str], own_root: bool = False, private: bool = False) -> dict[str, Any]:
    """The configuration of a zygote. own_root: it has mounts of its own, so folders above the readable files are open
    to it. private: it reads copies of its own (`copies.py`), below "root".

    Raises UsageError for an unknown profile, NoProtection if filters are missing or no copy can be made.
    """
    if profile not in PROFILES:
        raise UsageError(f"import profile {profile!r} is not known; expected one of {', '.join(PROFILES)}")
    distributions, preload = PROFILES[profile]
    places = [place(name) for name in distributions]
    readable = sorted({str(p) for p in _readable(places)})
    plan = namespaces.layout(readable, str(stdlib()), [str(stdlib() / n) for n in NOT_READ])
    root = str(copies.copied(plan)) if private else ""
    moved = root if not own_root else ""  # in namespaces of its own the copies are mounted at the original paths
    return {
        "parts": PARTS,
        "sources": {n: (HERE / "inside" / f"{n}.py").read_text() for n in PARTS},
        "stages": filters() if "seccomp" not in off else ["", ""],
        "site": sorted({moved + str(p.parent.resolve()) if moved else str(p.parent) for p in places}),
        "root": root,
        "layout": plan,
        "preload": list(preload),
        "readable": sorted(t if t.startswith("/dev/") else root + t for t in plan.tops) if moved else readable,
        "uid": _stranger([Path(moved + str(p.resolve())) for p in (INTERPRETER, stdlib(), *places)], own_root),
        "own_root": own_root,
        "off": sorted(off),
    }


def _stranger(paths: list[Path], own_root: bool) -> int | None:
    """The uid that the child changes to if we are root; None: it keeps ours."""
    known = all(_maps(Path("/proc/self", name).read_text(), UID) for name in ("uid_map", "gid_map"))
    return UID if known and all(open_to_all(p, parents=not own_root) for p in paths) else None


def _maps(table: str, uid: int) -> bool:
    """Whether this user namespace maps the id. table: lines of first id inside, first id outside, count."""
    rows = (map(int, line.split()) for line in table.splitlines())
    return any(first <= uid < first + count for first, _, count in rows)


def place(module: str) -> Path:
    """The folder of a profile's package. Raises UsageError if it is not installed."""
    spec = importlib.util.find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        raise UsageError(f"the sandbox's import profile needs {module!r}, which is not installed")
    return Path(next(iter(spec.submodule_search_locations)))


def stdlib() -> Path:
    return Path(sysconfig.get_path("stdlib"))


def _readable(places: list[Path]) -> Iterator[Path]:
    """The interpreter, the standard library, shared libraries file by file, and the profile's packages, but no parent
    folder of these: site-packages and dist-packages also hold other code, such as toprope."""
    yield INTERPRETER
    extensions = [INTERPRETER, *stdlib().glob("lib-dynload/*.so")]
    for entry in stdlib().iterdir():
        if entry.name not in NOT_READ:
            yield entry
    for found in places:
        extensions += found.rglob("*.so")
        yield found
        if (libs := found.parent / f"{found.name}.libs").is_dir():
            extensions += libs.glob("*.so*")
            yield libs
    triplet = sysconfig.get_config_var("MULTIARCH") or ""
    roots = ("/lib64", "/usr/lib64", f"/usr/lib/{triplet}", f"/lib/{triplet}", f"{sys.base_prefix}/lib")
    yield from libraries.closure(extensions, map(Path, roots))
    yield from (Path("/etc/ld.so.cache"), Path("/dev/null"), Path("/dev/urandom"))


def open_to_all(path: Path, parents: bool = True) -> bool:
    """Whether any user can reach and read it, so that the child can run as a user without files."""
    for p in (path, *(path.parents if parents else ())):
        mode = p.stat().st_mode
        if not mode & (stat.S_IXOTH if p.is_dir() else stat.S_IROTH):
            return False
    return True


def filters() -> list[str]:
    folder = HERE / "filters"
    paths = [folder / f"{platform.machine()}-stage{n}.bpf" for n in (1, 2)]
    if not all(p.exists() for p in paths):
        raise NoProtection(
            f"no seccomp filter for {platform.machine()}; tools/make_seccomp.py writes x86_64 and aarch64"
        )
    return [p.read_bytes().hex() for p in paths]


def hashes(stages: list[str]) -> dict[str, str]:
    return {f"stage{n}": hashlib.sha256(bytes.fromhex(code)).hexdigest()[:16] for n, code in enumerate(stages, 1)}


def interpreter(root: str) -> tuple[list[str], dict[str, str]]:
    """(command, environment) that start the interpreter of a tree of copies at `root`: by its own loader, with its own
    libraries and standard library. root "": the original interpreter."""
    if not root:
        return [str(INTERPRETER)], {}
    (loader,) = [name for name in libraries.needed(INTERPRETER) if "/" in name]
    shelves = {str(p.parent) for p in Path(root).rglob("lib*.so*") if "python3" not in str(p.parent)}
    command = [root + str(Path(loader).resolve()), "--library-path", ":".join(sorted(shelves))]
    return [*command, root + str(INTERPRETER)], {"PYTHONHOME": root + sys.base_prefix}
