"""`toprope new DIR`: a small task that is already fit to be climbed and can be changed step by step.

The template beside this file is a complete task (which label is right when raters disagree and some copy each other). A
copy differs only in its id, so a new task has already passed `toprope check`.
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
CODE = ("generate", "score", "null")  # functions of task.py that these fields describe


def new(folder: Path, task_id: str | None) -> str:
    """Write the template into `folder`, which must not exist or be empty. Returns the id.

    Raises UsageError for a folder that is not empty, or an id that is not family/name-vN.
    """
    named = task_id or f"own/{_slug(folder.resolve().name)}-v1"
    if not re.fullmatch(r"[a-z0-9-]+/[a-z0-9-]+-v[1-9][0-9]*", named):
        raise UsageError(f"--id {named!r}; expected family/name-vN in small letters, digits and hyphens")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} exists and is not an empty directory; name a new one, nothing is overwritten")
    with resources.as_file(TEMPLATE) as source:
        for path in sorted(p for p in source.rglob("*") if p.is_file() and "__pycache__" not in p.parts):
            target = folder / path.relative_to(source)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(path.read_text(encoding="utf-8").replace(TEMPLATE_ID, named), encoding="utf-8")
    return named


def leftovers(folder: Path) -> list[str]:
    """Fields of task.toml in `folder` that still have the template's text although the code was changed. [] for an
    unchanged template, and if only the area is the same, which many tasks may share."""
    code, card = folder / "task.py", folder / "task.toml"
    if not (code.is_file() and card.is_file()) or _functions(code.read_bytes()) == _functions(
        (TEMPLATE / "task.py").read_bytes()
    ):
        return []
    mine, shipped = tomllib.loads(card.read_text(encoding="utf-8")), tomllib.loads((TEMPLATE / "task.toml").read_text())
    left = [name for name in WORDS if mine.get(name) == shipped[name]]
    return [] if left == ["area"] else left


def _functions(code: bytes) -> dict[str, str]:
    """name -> source of the functions in CODE, without comments and layout."""
    found = [n for n in ast.walk(ast.parse(code)) if isinstance(n, ast.FunctionDef) and n.name in CODE]
    return {n.name: ast.unparse(n) for n in found}


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "task"
