"""Runs the cells of docs/notebook.md in order and writes below each what a notebook would show, figures into docs/.

python tools/notebook.py
"""

from __future__ import annotations

import ast
import contextlib
import io
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from toprope import Figure

PAGE = Path(__file__).parent.parent / "docs" / "notebook.md"
CELL = re.compile(
    r"```python\n(?P<code>.*?)```\n(?:\n(?:```text\n(?P<text>.*?)```|!\[[^]]*\]\((?P<file>[^)]*)\))\n)?", re.S
)


class Cell(NamedTuple):
    """code, and what stands below it in the page: text, or the name of a figure's file, or neither."""

    code: str
    text: str | None
    file: str | None


def cells(page: str) -> list[Cell]:
    return [Cell(m["code"], m["text"], m["file"]) for m in CELL.finditer(page)]


def results(some: list[Cell]) -> Iterator[str | Figure]:
    """What each cell prints, and the value of its last expression as a notebook shows it. Runs where we are."""
    names: dict[str, Any] = {"__name__": "notebook"}
    for cell in some:
        body = ast.parse(cell.code).body
        last = body[-1] if isinstance(body[-1], ast.Expr) else None
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(compile(ast.Module(body if last is None else body[:-1], []), "<cell>", "exec"), names)
            value = eval(compile(ast.Expression(last.value), "<cell>", "eval"), names) if last is not None else None
        if isinstance(value, Figure):
            yield value
        else:
            yield out.getvalue() + ("" if value is None else f"{value!r}\n")


def rendered(page: str, folder: Path) -> str:
    """The page with results that are made now. folder: where figures go."""
    shown = iter(list(results(cells(page))))

    def below(m: re.Match[str]) -> str:
        result = next(shown)
        code = f"```python\n{m['code']}```\n"
        if isinstance(result, Figure):
            result.save(folder / m["file"])
            return m[0]
        return code + (f"\n```text\n{result}```\n" if result else "")

    return CELL.sub(below, page)


if __name__ == "__main__":
    text = PAGE.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as place:
        os.chdir(place)
        text = rendered(text, PAGE.parent)
    PAGE.write_text(text, encoding="utf-8")
