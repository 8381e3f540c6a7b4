"""The one secret of an instance: which dialect the reference speaks, and which practice cases are which.

Every installation comes with the public demo; a vault that certifies holds 32 random bytes of its own, made by
`toprope vault dialect`. All splits of a task share it (the program does not change between practice and test), so
practice scorers read it too: it is kept from candidates by their sandbox, from a climber by file permissions alone.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from pathlib import Path
from typing import NamedTuple

from toprope.errors import RunError, UsageError

FILE = "mirror-dialect"
SIZE = 32
DEMO = hashlib.sha256(b"toprope mirror, public demo dialect").digest()


class Instance(NamedTuple):
    """name: as reports print it."""

    name: str
    secret: bytes


PUBLIC = Instance("public demo dialect", DEMO)


def load(vault: Path) -> Instance:
    """The vault's own dialect if it has one, else the public demo. Raises UsageError for a file of another length."""
    path = vault / FILE
    try:
        secret = path.read_bytes()
    except FileNotFoundError:
        return PUBLIC
    except OSError as e:
        raise UsageError(f"dialect {path}: {e.strerror}; make it readable, or move it away to use the demo") from e
    if len(secret) != SIZE:
        raise UsageError(f"dialect {path} has {len(secret)} bytes, not {SIZE}; `toprope vault dialect` makes one")
    return Instance(f"private dialect {hashlib.sha256(secret).hexdigest()[:12]}", secret)


def make(directory: Path) -> dict[str, str]:
    """Makes a private dialect for a vault that has none: old runs could not be verified with a new dialect."""
    path = directory / FILE
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise RunError(f"{path} exists: a vault keeps its dialect, or its runs could not be verified") from None
    except OSError as e:
        raise RunError(f"{path}: {e.strerror}; set TOPROPE_VAULT to a directory that you can write") from e
    with os.fdopen(fd, "wb") as f:
        f.write(secrets.token_bytes(SIZE))
    return {"path": str(path), "hidden": load(directory).name}
