"""Finds phrases that a reader has to guess at, and Markdown lines that are too long.

    python tools/plain_words.py README.md docs src        files, or folders that are searched for *.md and *.py

In Markdown it reads the prose, in Python the comments and the strings, docstrings included. It prints a line for each
finding, `FILE:LINE: WHAT`, and exits 1 if there is one. Tables and code blocks may be wider than the limit, because
they cannot be broken. Baselines and starters of tasks are left out: another word makes another candidate.
"""

from __future__ import annotations

import io
import re
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

WIDTH = 120  # characters, as in [tool.ruff]
COMPARATIVES = "better|earlier|faster|fewer|greater|higher|larger|later|less|longer|lower|more|smaller|worse"
PHRASES = {
    re.compile(rf"\b(?:[Ii]s|[Aa]re|was|were|be|been)\s+no\s+(?!(?:{COMPARATIVES})\b)[a-z]+"): "say what it is instead",
    re.compile(r"\b(?:[Ii]s|[Aa]re|was|were|be|been)\s+none\b"): "name what is missing or wrong",
    re.compile(r"\b[Ww]ho(?:m|so|mso)?ever\b"): "name the person or the program",
    re.compile(r"(?:^|(?<=[.!:]\s))Who\s[^.?!|]{3,120}\.(?=\s|$)", re.M): "name the subject first",
    re.compile(r"(?:^|(?<=[.!:]\s))What\s+(?:an?|no)\s+(?:[^\s.?!|:]+\s+){2,14}?(?:is|are)\s", re.M): (
        "begin with the subject"
    ),
}
CANDIDATES = {"baselines", "starter"}
STRINGS = {tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING)}  # f-strings since Python 3.12


def main(roots: list[str]) -> int:
    """Prints the findings in files and folders. Returns the exit status: 1 where there is a finding, else 0.

    Raises FileNotFoundError for a root that does not exist, so that a misspelt one cannot pass.
    """
    findings = [f"{path}:{line}: {what}" for path in files(roots) for line, what in judge(path)]
    print(*findings, sep="\n", end="\n" if findings else "")
    return int(bool(findings))


def files(roots: list[str]) -> Iterator[Path]:
    """The Markdown and Python files of the roots, each folder in the order of its names."""
    for root in map(Path, roots):
        root.stat()  # raises for one that does not exist
        for path in (root, *sorted(root.rglob("*"))):
            if path.suffix in {".md", ".py"} and not CANDIDATES & {*path.parts}:
                yield path


def judge(path: Path) -> list[tuple[int, str]]:
    """The findings of a file as (line number from 1, what)."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        return [finding for line, part in python_text(text) for finding in phrases(part, line)]
    prose = markdown_prose(text)
    wide = [(n, s) for n, s in enumerate(prose, 1) if len(s) > WIDTH and not s.lstrip().startswith("|")]
    return sorted([(n, f"{len(s)} characters; at most {WIDTH}") for n, s in wide] + phrases("\n".join(prose), 1))


def phrases(text: str, first: int) -> list[tuple[int, str]]:
    """Phrases in a text whose first line has the number `first`; a phrase may go over a line's end."""
    return [
        (first + text[: m.start()].count("\n"), f"'{' '.join(m[0].split())}': {remedy}")
        for pattern, remedy in PHRASES.items()
        for m in pattern.finditer(text)
    ]


def python_text(source: str) -> Iterator[tuple[int, str]]:
    """Comments and strings as (number of the first line, text); comments on consecutive lines are one text."""
    start, comment = 0, list[str]()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            if token.start[0] != start + len(comment):
                yield start, "\n".join(comment)
                start, comment = token.start[0], []
            comment.append(token.string.lstrip("# "))
        elif token.type in STRINGS:
            yield token.start[0], token.string
    yield start, "\n".join(comment)


def markdown_prose(text: str) -> list[str]:
    """The lines, with those of code blocks empty: fenced ones, and those indented by four after an empty line."""
    prose, fenced, indented = list[str](), False, False
    for line in text.splitlines():
        fence = line.lstrip().startswith("```")
        fenced ^= fence
        if line.strip():
            indented = line.startswith("    ") and (indented or not any(prose[-1:]))
        prose.append("" if fence or fenced or indented else line.rstrip())
    return prose


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
