"""`toprope redteam` at a terminal: one line of progress, every failure as it happens, then the layer x class matrix."""

from __future__ import annotations

import io
import sys
import time
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from toprope import output
from toprope.view.text import clean, protection

WIDTH = 110  # in a pipe, which has no terminal width


class Watch:
    """Shows progress over verdicts: a bar on a terminal, a line every 15 s in a pipe. A context manager."""

    every_s = 15.0

    def __init__(self, total: int) -> None:
        self._console = Console(stderr=True, highlight=False)
        columns = (
            TextColumn("red team"),
            BarColumn(40),
            MofNCompleteColumn(),
            TextColumn("{task.description}", markup=False),
        )
        self._bar = Progress(*columns, console=self._console, transient=True, disable=not sys.stderr.isatty())
        self._task = self._bar.add_task("planting", total=total)
        self._said = time.monotonic()
        self._bad = 0

    def heard(self, verdict: dict[str, Any], done: int, total: int) -> None:
        self._bar.update(self._task, completed=done, description=clean(f"{verdict['class']} {verdict['id']}"))
        if not verdict["ok"]:
            self._bad += 1
            self._console.print(_failure(verdict))
        if self._bar.disable and time.monotonic() - self._said > self.every_s:
            self._said = time.monotonic()
            self._console.print(f"red team: {done} of {total}, {self._bad or 'none'} not as expected", markup=False)

    def __enter__(self) -> Watch:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()


def shown(result: dict[str, Any], layers: dict[str, str]) -> str:
    """The matrix, the cheats that were not run and why, the failures, and the result in one sentence."""
    terminal = output.is_terminal()
    console = Console(highlight=False, width=None if terminal else WIDTH, file=io.StringIO(), force_terminal=terminal)
    with console.capture() as said:
        _show(console, result, layers)
    return said.get().rstrip("\n")


def _show(console: Console, result: dict[str, Any], layers: dict[str, str]) -> None:
    console.print(matrix(result, layers))
    for cheat in result["cheats"]:
        if cheat["observed"] == "not run":
            console.print(Text(clean(f"not run  {cheat['id']}: {cheat['evidence']}"), style="dim"))
    for cheat in result["cheats"]:
        if not cheat["ok"]:
            console.print(_failure(cheat))
    console.print(Text(protection(result["protection"]), style="dim"))
    console.print(Text(verdict(result), style="bold green" if result["ok"] else "bold red"))


def verdict(result: dict[str, Any]) -> str:
    """The result in one sentence."""
    ran = [c for c in result["cheats"] if c["observed"] != "not run"]
    paid, twins = len(result["paid"]), sum(not c["twin_ok"] for c in ran)
    other = sum(not c["ok"] for c in ran) - paid - sum(not c["twin_ok"] and c["observed"] != "pays" for c in ran)
    left = len(result["cheats"]) - len(ran)
    idle = f"; {left} not run" if left else ""
    if result["ok"]:
        end = f"every honest twin passes{idle} ({result['seconds']:.0f} s)"
        return f"{result['task']}: none of {len(ran)} cheats pays, {end}"
    parts = [f"{paid} of {len(ran)} cheats pay"] if paid else []
    parts += [f"{twins} honest twins are harmed"] if twins else []
    parts += [f"{other} end otherwise than expected"] if other > 0 else []
    return f"{result['task']}: {', '.join(parts)}{idle} ({result['seconds']:.0f} s)"


def matrix(result: dict[str, Any], layers: dict[str, str]) -> Table:
    """A table with layers as rows and classes as columns: the number of cheats that attack the layer; failures in
    red."""
    names = [f"C{i}" for i in range(1, 11)]
    table = Table(box=None, padding=(0, 1), title_justify="left", caption_justify="left")
    table.title = Text(clean(f"{result['task']}: cheats by the layers they meet"), style="bold")
    caption = [f"{k} {v}" for k, v in result["classes"].items()]
    table.caption = Text("  ".join(caption), style="dim")
    table.add_column("layer", no_wrap=True)
    for name in names:
        table.add_column(name, justify="right")
    table.add_column("what it is", style="dim", overflow="fold")
    for layer, words in layers.items():
        met = [c for c in result["cheats"] if layer in c["meets"] and c["observed"] != "not run"]
        if met:
            table.add_row(layer, *(_cell([c for c in met if c["class"] == name]) for name in names), words)
    return table


def _cell(cheats: list[dict[str, Any]]) -> Text:
    bad = sum(not c["ok"] for c in cheats)
    if not cheats:
        return Text("·", style="dim")
    return Text(f"{bad}!/{len(cheats)}", style="bold red") if bad else Text(str(len(cheats)), style="green")


def _failure(c: dict[str, Any]) -> Text:
    what = f"expected {c['expected']}, saw {c['observed']}: {c['evidence']}"
    if c["twin_ok"] is False:
        what += f"; honest twin: {c['twin']}"
    style = "bold red" if c["observed"] == "pays" else "red"
    return Text.assemble((f"{'PAYS' if c['observed'] == 'pays' else 'FAILS'}  ", style), clean(f"{c['id']}  {what}"))
