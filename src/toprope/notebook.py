"""Results as HTML for notebooks. All text is escaped, because ledgers and candidates hold hostile text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

CELL = "text-align: left; vertical-align: top; padding: 2px 16px 2px 0; overflow-wrap: anywhere"


def block(title: str, rows: Iterable[Sequence[str]], head: Sequence[str] = (), after: str = "") -> str:
    """A title and a table. rows: of plain text, as many as the table's columns. head: names of the columns. after: HTML
    that follows."""
    names = "".join(f'<th style="{CELL}">{escape(name)}</th>' for name in head)
    cells = ("".join(f'<td style="{CELL}">{escape(cell)}</td>' for cell in row) for row in rows)
    body = "".join(f"<tr>{row}</tr>" for row in [*([names] if head else []), *cells])
    return f"<div><b>{escape(title)}</b><table>{body}</table>{after}</div>"
