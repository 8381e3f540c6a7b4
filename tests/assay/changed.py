"""The template of `toprope new`, changed in one place, as an author would."""

from pathlib import Path

from toprope.tasks.new import new

TRUTH = "        truth = rng.integers(0, 2, ITEMS)\n"


def written(folder: Path, **changes: tuple[str, str]) -> Path:
    """A new task in `folder`. changes: name of a file, its dot as `_`, to (old text, new text)."""
    new(folder, "own/changed-v1")
    for name, change in changes.items():
        edit(folder / name.replace("_", "."), *change)
    return folder


def edit(path: Path, old: str, text: str) -> None:
    whole = path.read_text()
    assert old in whole
    path.write_text(whole.replace(old, text))


def drawing(folder: Path, *lines: str, top: str = "") -> Path:
    """One whose generate() runs these lines after it has drawn the truth. top: before the imports."""
    body = "".join(f"        {line}\n" for line in lines)
    made = written(folder, task_py=(TRUTH, TRUTH + body))
    edit(
        made / "task.py",
        "from typing import ClassVar\n",
        f"import locale, os, time\n{top}\nfrom typing import ClassVar\n",
    )
    return made
