"""`toprope new DIR`: a task of one's own that is already fit to be climbed, to be changed step by step.

The template beside this file is a whole task (who is right when raters differ, and some copy each other); a copy gets
another id and is otherwise the same, so what a reader sees in it has passed `toprope check`.
"""

from __future__ import annotations

import ast
import re
import tomllib
from importlib import resources
from pathlib import Path

from toprope.errors import UsageError

TEMPLATE_ID = "own/raters-v1"
TEMPLATE = resources.files("toprope.tasks.new") / "template"
WORDS = ("title", "area", "threat_model", "known_hacks", "citation")  # fields of task.toml that say what a task is
CODE = ("generate", "score", "null")  # functions of task.py that these words are about


def new(folder: Path, task_id: str | None) -> str:
    """Write the template into `folder`, which must not exist or be empty. Returns the id.

    Raises UsageError for a folder that holds something, or an id that is not family/name-vN.
    """
    named = task_id or f"own/{_slug(folder.resolve().name)}-v1"
    if not re.fullmatch(r"[a-z0-9-]+/[a-z0-9-]+-v[1-9][0-9]*", named):
        raise UsageError(f"--id {named!r}; expected family/name-vN in small letters, digits and hyphens")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is there and holds something; name a new directory, nothing is overwritten")
    with resources.as_file(TEMPLATE) as source:
        for path in sorted(p for p in source.rglob("*") if p.is_file() and "__pycache__" not in p.parts):
            target = folder / path.relative_to(source)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(path.read_text(encoding="utf-8").replace(TEMPLATE_ID, named), encoding="utf-8")
    return named


def leftovers(folder: Path) -> list[str]:
    """Fields of the task in `folder` that are the template's words though its code is not the template's; none for a
    template as it was written, nor for an area, which many tasks may share."""
    code, card = folder / "task.py", folder / "task.toml"
    if not (code.is_file() and card.is_file()) or _functions(code.read_bytes()) == _functions(
        (TEMPLATE / "task.py").read_bytes()
    ):
        return []
    mine, shipped = tomllib.loads(card.read_text(encoding="utf-8")), tomllib.loads((TEMPLATE / "task.toml").read_text())
    left = [name for name in WORDS if mine.get(name) == shipped[name]]
    return [] if left == ["area"] else left


def _functions(code: bytes) -> dict[str, str]:
    """Without comments and layout."""
    found = [n for n in ast.walk(ast.parse(code)) if isinstance(n, ast.FunctionDef) and n.name in CODE]
    return {n.name: ast.unparse(n) for n in found}


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "task"
