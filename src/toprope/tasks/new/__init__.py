"""`toprope new DIR`: a task of one's own that is already fit to be climbed, to be changed step by step.

The template beside this file is a whole task (who is right when raters differ, and some copy each other); a copy gets
another id and is otherwise the same, so what a reader sees in it has passed `toprope check`.
"""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path

from toprope.errors import UsageError

TEMPLATE_ID = "own/raters-v1"


def new(folder: Path, task_id: str | None) -> str:
    """Write the template into `folder`, which must not exist or be empty. Returns the id.

    Raises UsageError for a folder that holds something, or an id that is not family/name-vN.
    """
    named = task_id or f"own/{_slug(folder.resolve().name)}-v1"
    if not re.fullmatch(r"[a-z0-9-]+/[a-z0-9-]+-v[1-9][0-9]*", named):
        raise UsageError(f"--id {named!r}; expected family/name-vN in small letters, digits and hyphens")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is there and holds something; name a new directory, nothing is overwritten")
    template = resources.files("toprope.tasks.new") / "template"
    with resources.as_file(template) as source:
        for path in sorted(p for p in source.rglob("*") if p.is_file() and "__pycache__" not in p.parts):
            target = folder / path.relative_to(source)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(path.read_text(encoding="utf-8").replace(TEMPLATE_ID, named), encoding="utf-8")
    return named


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "task"
