"""How far a large ledger has been read and checked, kept beside it, so that the next command need not read it again.

A checkpoint is a cache: `verify` never opens it, and a run without it is opened as before, only later. It is believed
if it carries this user's mark (a keyed hash; the key lies in the user's cache folder), and is used only as far as the
ledger agrees: its last entry must be in the chain with the same hash. If the ledger's files have changed in any way
since, the whole chain is hashed again; then what the checkpoint says of its entries still holds, because no other
entries have that hash. A torn, stale or forged one is as good as none.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import secrets
from pathlib import Path

import msgspec

from toprope import paths, wire
from toprope.journal.tally import Tally
from toprope.version import __version__

LARGE = 8 << 20  # bytes of a ledger from which a checkpoint pays
NAME, KEY = "checkpoint", "checkpoint.key"
MARK = 32  # bytes of the keyed hash
FORM = 1  # of the file; another one is ignored

Stamp = tuple[int, int, int, int]  # inode, size, modified, changed


class Checkpoint(msgspec.Struct, frozen=True):
    """length, head: of the chain that was checked. files: stamps of the ledger and its log then. where: numbers of the
    entries of each rare kind. tally: of the blocks and barriers. climb: the state of the climb at `length` or before it
    (`run/keeping.py`), or b""."""

    length: int
    head: str
    files: list[Stamp | None]
    where: dict[str, list[int]]
    tally: Tally
    climb: bytes = b""
    form: int = FORM
    toprope: str = __version__


def stamps(ledger: Path) -> list[Stamp | None]:
    """What the file system says of the ledger and of its log; None for a log that is missing or empty. A change that
    leaves all of it as it was is beyond an ordinary user."""
    found: list[Stamp | None] = []
    for path in (ledger, ledger.with_name(ledger.name + "-wal")):
        try:
            s = path.stat()
        except OSError:
            found.append(None)
            continue
        found.append((s.st_ino, s.st_size, s.st_mtime_ns, s.st_ctime_ns) if s.st_size else None)
    return found


def size(ledger: Path) -> int:
    """Bytes of the ledger with its log."""
    return sum(stamp[1] for stamp in stamps(ledger) if stamp is not None)


def load(ledger: Path) -> Checkpoint | None:
    """The checkpoint beside a ledger; None if it is missing, or lacks this user's mark or this version's form."""
    path, key = ledger.with_name(NAME), _key()
    if key is None or not path.is_file():
        return None
    try:
        data = path.read_bytes()
        if not hmac.compare_digest(data[:MARK], _mark(key, data[MARK:])):
            return None
        found: Checkpoint = wire.decode(data[MARK:], Checkpoint)
    except (OSError, ValueError, msgspec.DecodeError):
        return None
    return found if found.form == FORM and found.toprope == __version__ else None


def save(ledger: Path, checkpoint: Checkpoint) -> None:
    """Writes it whole or not at all; where nothing can be written, nothing happens."""
    path, key = ledger.with_name(NAME), _key()
    if key is None:
        return
    data = wire.encode(checkpoint)
    making = path.with_name(f"{NAME}.{os.getpid()}.new")
    with contextlib.suppress(OSError):
        try:
            making.write_bytes(_mark(key, data) + data)
            making.replace(path)
        finally:
            making.unlink(missing_ok=True)


def _mark(key: bytes, data: bytes) -> bytes:
    return hashlib.blake2b(data, key=key, digest_size=MARK).digest()


def _key() -> bytes | None:
    """This user's key, made when it is first needed; None where it cannot be kept."""
    path = paths.cache() / KEY
    with contextlib.suppress(OSError):
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            making = path.with_name(f"{KEY}.{os.getpid()}.new")
            fd = os.open(making, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with open(fd, "wb") as file:
                file.write(secrets.token_bytes(32))
            with contextlib.suppress(FileExistsError):  # another process was faster
                os.link(making, path)
            making.unlink()
        key = path.read_bytes()
        return key if len(key) == 32 else None
    return None
