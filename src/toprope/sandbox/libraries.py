"""The shared libraries that the interpreter and a profile's packages load, read from the files themselves.

Every dynamic ELF file names what it needs (DT_NEEDED, see elf(5)); the closure of those names is far smaller than a
system's library folder, so a candidate may read only that. 64-bit little-endian files only, as on both of our
architectures; other files count as needing nothing.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable
from pathlib import Path

PT_LOAD, PT_DYNAMIC, PT_INTERP = 1, 2, 3
DT_NEEDED, DT_STRTAB = 1, 5
BY_HAND = ("libgcc_s.so.1",)  # libc opens it by name when a thread ends or unwinds


def closure(starts: Iterable[Path], folders: Iterable[Path]) -> list[Path]:
    """The loader and the libraries in `folders` that the files in `starts` load, and those that these load in turn.

    A name found in several folders is listed from each, because RPATH decides which one a file loads.
    """
    shelf: dict[str, set[Path]] = {}
    for folder in folders:
        for path in folder.glob("*.so*"):
            shelf.setdefault(path.name, set()).add(path)
    found: set[Path] = set()
    names = {*BY_HAND, *(name for start in starts for name in needed(start))}
    while names:
        at = {p for name in names for p in (shelf.get(name, ()) if "/" not in name else [Path(name)]) if p.is_file()}
        names = {name for path in at - found for name in needed(path)}
        found |= at
    return sorted(found)


def needed(path: Path) -> set[str]:
    """Names of the libraries that this file needs, and the path of its loader."""
    with open(path, "rb") as f:
        fd = f.fileno()
        head = os.pread(fd, 64, 0)
        if head[:6] != b"\x7fELF\x02\x01":
            return set()
        names: set[str] = set()
        (start,) = struct.unpack_from("<Q", head, 32)
        size, count = struct.unpack_from("<HH", head, 54)
        segments = [struct.unpack("<IIQQQQQQ", os.pread(fd, 56, start + i * size)) for i in range(count)]
        for kind, _, offset, _, _, length, _, _ in segments:
            if kind == PT_INTERP:
                names.add(_text(fd, offset))
            if kind == PT_DYNAMIC:
                names |= _dynamic(fd, os.pread(fd, length // 16 * 16, offset), segments)
    return names


def _dynamic(fd: int, table: bytes, segments: list[tuple[int, ...]]) -> set[str]:
    entries = list(struct.iter_unpack("<qQ", table))
    address = next((value for tag, value in entries if tag == DT_STRTAB), None)
    for kind, _, offset, start, _, size, _, _ in segments:
        if kind == PT_LOAD and address is not None and start <= address < start + size:
            strings = offset + address - start
            return {_text(fd, strings + value) for tag, value in entries if tag == DT_NEEDED}
    return set()


def _text(fd: int, offset: int) -> str:
    return os.pread(fd, 4096, offset).partition(b"\0")[0].decode("utf-8", "replace")
