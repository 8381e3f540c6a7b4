"""Writes docs/api.md from the docstrings of what `toprope` exports, below the page's marker. The examples above stay.

python tools/api_docs.py
"""

from __future__ import annotations

import ast
import enum
import inspect
import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import toprope
from toprope.journal.spec import options

PAGE = Path(__file__).parent.parent / "docs" / "api.md"
MARKER = "<!-- Below: python tools/api_docs.py, from the docstrings. -->\n"
WIDTH = 118
PARAMETER = r"[a-z_]+(?:, [a-z_]+)*: "
SECTIONS = {
    "Runs": "climb resume unseal open_run summary verify write_report",
    "Tasks and candidates": "list_tasks new_task submit check",
    "What they return": "RunHistory Figure Estimate Opened Submission Verification Admission Listing RunSpec",
    "What an observer hears": "Observer Opening BlockRecord Generation AttemptRecord Answer Incident",
    "A climber of your own": "Climber Results Space Dim choice linear log given all_but",
    "A task of your own": (
        "Task FolderTask Point Pairs Draw Dialogue Round Call Array Outputs Baseline Secret Tree Candidate Outcome"
    ),
    "An executor of your own": "Executor MakeExecutor Block Ledger",
    "Errors": "TopropeError UsageError RunError NoProtection",
}


def page() -> str:
    """The whole page as it should be. Raises SystemExit for a name that stands in no section."""
    listed = {name for names in SECTIONS.values() for name in names.split()}
    if other := listed ^ (set(toprope.__all__) - {"__version__"}):
        sys.exit(f"tools/api_docs.py: {', '.join(sorted(other))}: put every name of toprope.__all__ into SECTIONS")
    parts = [PAGE.read_text(encoding="utf-8").partition(MARKER)[0] + MARKER]
    for title, names in SECTIONS.items():
        parts += [f"\n## {title}\n", *(line for name in names.split() for line in _entry(name))]
        if title == "Runs":
            parts += ["\n### Options of a run\n", *_options()]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(parts)).rstrip() + "\n"


def _entry(name: str) -> Iterator[str]:
    thing = getattr(toprope, name)
    yield f"\n### {name}\n"
    if inspect.isclass(thing):
        yield from _paragraphs(thing.__dict__.get("__doc__") or "")
        yield from _members(thing)
    elif inspect.isfunction(thing):
        yield f"```python\n{_signature(name, thing)}\n```\n"
        yield from _paragraphs(thing.__doc__ or "")
    else:
        yield from _alias(name)


def _signature(name: str, function: Any, width: int = WIDTH) -> str:
    signature = inspect.signature(function)
    parts = []
    for p in signature.parameters.values():
        if p.kind is p.KEYWORD_ONLY and "*" not in parts:
            parts.append("*")
        default = "" if p.default is p.empty else f" = {p.default!r}"
        kind = "" if p.annotation is p.empty else f": {p.annotation}"
        stars = "**" if p.kind is p.VAR_KEYWORD else "*" if p.kind is p.VAR_POSITIONAL else ""
        parts.append(stars + p.name + kind + default)
    line = f"{name}({', '.join(parts)}) -> {signature.return_annotation}"
    if len(line) <= width:
        return line
    inner = "".join(f"    {part},\n" for part in parts)
    return f"{name}(\n{inner}) -> {signature.return_annotation}"


def _paragraphs(doc: str) -> Iterator[str]:
    """A docstring as Markdown: a line that begins with a parameter's name becomes an item of a list."""
    for block in inspect.cleandoc(doc).split("\n\n"):
        if block.startswith("    "):
            yield f"```python\n{textwrap.dedent(block)}\n```\n"
            continue
        items = re.split(rf"\n(?={PARAMETER})", block)
        if len(items) == 1 or not re.match(PARAMETER, block):
            yield block + "\n"
            continue
        yield "\n".join(textwrap.indent(item, "  ").replace("  ", "- ", 1) for item in items) + "\n"


def _members(cls: type) -> Iterator[str]:
    """Fields with their types, then properties and methods with what they say."""
    fields = inspect.get_annotations(cls)
    lines = [f"{name}: {_kind(kind)}" for name, kind in fields.items() if not name.startswith("_")]
    if issubclass(cls, enum.Enum):
        lines = [f"{member.name} = {member.value!r}" for member in cls]
    if lines:
        yield "```python\n" + "\n".join(lines) + "\n```\n"
    for name, member in vars(cls).items():
        function = _function(member)
        if name.startswith("_") or function is None or (function.__doc__ is None and not hasattr(cls, "_is_protocol")):
            continue
        head = re.sub(r"\((self|cls)(, )?", "(", _signature(name, function, sys.maxsize))
        if isinstance(member, property):
            head = head.replace("() -> ", ": ")
        said = " ".join((function.__doc__ or "").split())
        text = f"- `{head}`" + (f": {said}" if said else "")
        yield textwrap.fill(text, WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
    yield ""


def _kind(annotation: Any) -> str:
    """As it stands in the source, without what an option says of itself."""
    text = str(getattr(annotation, "__forward_arg__", annotation))
    return re.sub(r"^Annotated\[(.*?), Option\(.*", r"\1", text)


def _function(member: Any) -> Any:
    if isinstance(member, property):
        return member.fget
    function = getattr(member, "__func__", member)  # of a class method
    return function if inspect.isfunction(function) else None


def _alias(name: str) -> Iterator[str]:
    """The line that defines it, and the words below."""
    source = Path(sys.modules[toprope._MODULE[name]].__file__ or "").read_text(encoding="utf-8")
    body = ast.parse(source).body
    for at, node in enumerate(body):
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == name for t in node.targets):
            yield f"```python\n{ast.unparse(node)}\n```\n"
            if isinstance(after := body[at + 1], ast.Expr) and isinstance(after.value, ast.Constant):
                yield from _paragraphs(str(after.value.value))


def _options() -> Iterator[str]:
    yield "Keywords of `climb` and of `RunSpec.from_keywords`, as on the command line.\n"
    for o in options():
        kind = "list of float" if o.name == "prices" else f"list of {o.kind.__name__}" if o.many else o.kind.__name__
        text = f"- `{o.name}` ({kind}): {o.help}"
        yield textwrap.fill(text, WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
