"""Proposes given rows: a list, or a file exported from a ledger. For reproductions and transfer."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from toprope.errors import UsageError
from toprope.protocols import Results
from toprope.space import Space
from toprope.types import Codes, Json


class ReplayClimber:
    """A finite climber: at the end of its list it returns fewer rows than asked for, then empty arrays."""

    def __init__(
        self,
        space: Space,
        seed: int = 0,
        rows: Codes | Sequence[Mapping[str, Json]] | None = None,
        path: str | Path | None = None,
    ) -> None:
        """rows: (m, p) codes, or m parameter dicts. path: a file, see `read_params`. Give one of them. seed: ignored.
        Raises UsageError for rows outside the space, or a malformed file."""
        if (rows is None) == (path is None):
            raise UsageError("replay needs either rows= or path=, a file with one JSON object of parameters per line")
        given = read_params(Path(path)) if path is not None else rows
        self._rows = _encoded(space, given if given is not None else [])
        self._at = 0

    def ask(self, n: int) -> Codes:
        rows = self._rows[self._at : self._at + n].copy()
        self._at += len(rows)
        return rows

    def tell(self, results: Results) -> None:
        """Does nothing."""

    def state(self) -> int:
        """How far it has come in its list."""
        return self._at

    def restore(self, state: int) -> None:
        self._at = state


def read_params(path: Path) -> list[dict[str, Json]]:
    """Parameters from a file with one JSON object per line, which may hold them under the key `params`. Raises
    UsageError for a malformed file."""
    out: list[dict[str, Json]] = []
    try:
        if path.exists() and not path.is_file():  # a pipe or a device may have no end
            raise UsageError(f"cannot read {path}: it is not a plain file")
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read {path}: {error}") from None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:  # also numbers of thousands of digits, and deep nesting
            raise UsageError(f"{path} line {number}: {str(error)[:200]}; expected one JSON object per line") from None
        row = row.get("params", row) if isinstance(row, dict) else row
        if not isinstance(row, dict):
            raise UsageError(f"{path} line {number} is {str(row)[:80]!r}; expected a JSON object of parameters")
        out.append(row)
    return out


def _encoded(space: Space, rows: Codes | Sequence[Mapping[str, Json]]) -> Codes:
    if not isinstance(rows, np.ndarray):
        coded = [space.encode(row) for row in rows]
        return np.array(coded, dtype=np.uint8).reshape(len(coded), len(space.dims))
    if rows.ndim != 2 or rows.shape[1] != len(space.dims) or (rows > space.sizes).any() or (rows < 0).any():
        raise UsageError(f"rows of shape {rows.shape} are not points of this space of {len(space.dims)} dimensions")
    return rows.astype(np.uint8)
