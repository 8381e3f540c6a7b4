"""Shows a climb while it runs, on stderr: a live panel on a terminal, a few plain lines in a pipe."""

from __future__ import annotations

import sys
import time
from typing import Any

import msgspec

from toprope.journal.history import RunHistory
from toprope.journal.records import AttemptRecord, BlockRecord, Generation, Opening
from toprope.referee.recorded import Answer, Opened
from toprope.view import text

BARS = "▁▂▃▄▅▆▇█"
BEST = 1000  # values that the sparkline is drawn from; of more, every other one is dropped
NODES = 8  # shown by name, those with most blocks first


class State:
    """Everything that the panel shows, from the run's records (including those of earlier sessions)."""

    def __init__(self) -> None:
        self.opening: Opening | None = None
        self.doing: tuple[str, float] | None = None
        self.best: list[float] = []
        self.last: Generation | None = None
        self.asked = self.promotions = 0
        self.waiting = False
        self.waits: tuple[float, float] | None = None  # since when the climb waits for the gate, and for about how long
        self.measured: Any = None
        self.cpu = 0.0
        self.scored = 0  # first rungs of experiments, including those in flight
        self.failed: dict[str, int] = {}
        self.nodes: dict[str, int] = {}  # other machines, with the blocks that each has done
        self.events: list[str] = []
        self.started = time.monotonic()
        self.elapsed_before = 0.0

    # ------------------------------------------------------------ events

    def progress(self, what: str, done: float) -> None:
        self.doing = (text.clean(what), done) if done < 1 else None

    def wait(self, seconds: float | None) -> None:
        """The climb waits for the gate's answer, which leaves in about this many seconds; None: the wait is over."""
        self.waits = None if seconds is None else (time.monotonic(), seconds)

    def hear(self, record: msgspec.Struct) -> None:
        """Handles the records that change the display."""
        match record:
            case Opening():
                self._opened(record)
            case BlockRecord():
                self._block(record)
            case Generation():
                self._generation(record)
            case AttemptRecord():
                self._asked(record)
            case Answer():
                self._answer(record)
            case Opened():
                self._tested(record)

    def catch_up(self, s: RunHistory) -> None:
        """Takes up what a resumed run holds, as hearing its records one by one would."""
        self.cpu, self.scored = self.cpu + s.counted.cpu_s, s.experiments
        self.failed = s.failures()
        for generation in s.generations:
            self._generation(generation)
        answers = {a.candidate: a for a in s.answers}
        for asked in s.asked:
            self._asked(asked)
            if asked.candidate.id in answers:
                self._answer(answers[asked.candidate.id])

    def _opened(self, opening: Opening) -> None:
        self.opening, self.doing = opening, None
        self.started = time.monotonic()

    def _block(self, block: BlockRecord) -> None:
        self.cpu += block.cpu_s
        self.scored += len(block.experiments) if block.begins else 0
        if block.node is not None:
            self.nodes[block.node.name] = self.nodes.get(block.node.name, 0) + 1
        for outcome in block.outcomes.values():
            self.failed[outcome] = self.failed.get(outcome, 0) + 1

    def _generation(self, generation: Generation) -> None:
        self.last = generation
        self.elapsed_before, self.started = generation.elapsed, time.monotonic()
        if generation.best is not None:
            self.best.append(generation.best)
        if len(self.best) > BEST:
            self.best = self.best[::2]

    def _asked(self, asked: AttemptRecord) -> None:
        self.asked += asked.clean
        self.waiting = asked.clean
        if not asked.pure:
            self.events.append(f"experiment {asked.experiment}: dev scores changed in isolation; not sent to the gate")

    def _answer(self, answer: Answer) -> None:
        self.waiting = False
        if answer.promoted and answer.measured is not None:
            self.promotions, self.measured = self.promotions + 1, answer.measured
            m = answer.measured
            self.events.append(
                f"attempt {self.asked}: PROMOTE, measured {m.value:.3f} [{m.lo:.3f}, {m.hi:.3f}] on fresh data"
            )
        else:
            self.events.append(f"attempt {self.asked}: not yet")

    def _tested(self, test: Opened) -> None:
        e = test.champion
        self.doing = None
        self.events.append(f"sealed test: {e.value:.3f} [{e.lo:.3f}, {e.hi:.3f}] over {test.draws} draws")

    # ------------------------------------------------------------ derived

    @property
    def elapsed(self) -> float:
        return self.elapsed_before + time.monotonic() - self.started

    @property
    def fraction(self) -> float:
        o, done = self.opening, self.last.experiments if self.last else 0
        if o is None:
            return 0.0
        if o.spec.experiments is not None:
            return min(1.0, max(done, self.scored) / o.spec.experiments)
        return min(1.0, self.elapsed / (60 * o.spec.minutes)) if o.spec.minutes else 0.0

    def sparkline(self, width: int = 40) -> str:
        values = self.best[:: max(1, -(-len(self.best) // width))]
        if len(values) < 2 or max(values) == min(values):
            return ""
        low, span = min(values), max(values) - min(values)
        return "".join(BARS[min(7, int(8 * (v - low) / span))] for v in values)

    def lines(self) -> list[tuple[str, str]]:
        """(label, value) pairs, the same for the panel and for plain lines."""
        g = self.last
        rate = self.scored / self.elapsed if self.elapsed > 0 else 0.0
        each = 1000 * self.cpu / self.scored if self.scored else 0.0
        m = self.measured
        champion = (
            "the starter, so far" if m is None else f"{m.value:.3f} [{m.lo:.3f}, {m.hi:.3f}]  measured on fresh data"
        )
        gate = f"{self.asked} attempts, {self.promotions} promotions" + (", one at the gate" if self.waiting else "")
        if self.waits is not None:
            gate += f"; the climb waits {self.waits[1]:.0f} s for its answer, which leaves on a schedule"
        failed = "".join(f", {n} {text.clean(o)}" for o, n in sorted(self.failed.items()))
        best = f"{g.best:.3f}" if g and g.best is not None else "-"
        most = sorted(self.nodes.items(), key=lambda n: -n[1])[:NODES]
        blocks = ", ".join(f"{text.clean(name)} {n}" for name, n in most)
        nodes = [("nodes", f"{len(self.nodes)}, blocks done: {blocks}")] if most else []
        return [
            ("champion", champion),
            ("gate", gate),
            ("best dev", f"{best}  {self.sparkline()}"),
            (
                "experiments",
                f"{self.scored}  ({rate:.1f}/s, {each:.0f} ms CPU each; "
                f"{g.pruned if g else 0} stopped early, {g.cached if g else 0} cached{failed})",
            ),
            *nodes,
        ]


def header(o: Opening) -> list[str]:
    """The lines before a climb starts: what runs, its protection, and what its result can certify."""
    budget = f"{o.spec.experiments} experiments" if o.spec.experiments is not None else f"{o.spec.minutes:g} minutes"
    place = f"run {o.number} on this task, vault of {o.vault_since}" if o.certifying else "certifies nothing"
    secret = f" {o.kept.label};" if o.kept is not None else ""
    left = "" if o.promotions_left is None else f"; its hidden data carry {o.promotions_left} more promotions"
    lines = [
        f"toprope  {o.spec.task}  {o.spec.climber.label}, seed {o.spec.seed}, {budget}",
        text.protection(o.protection),
        f"referee: {place};{secret} the gate resolves a gain of {o.detectable:.2f}{left}",
    ]
    return [text.clean(line) for line in lines]


class PlainScreen:
    """For pipes and logs: the header, every event at the gate, and a line every `every_s` seconds."""

    every_s = 15.0

    def __init__(self) -> None:
        self.state = State()
        self._said = 0.0
        self._events = 0
        self._done: set[str] = set()  # finished activities, which several scorers may report

    def __enter__(self) -> PlainScreen:
        return self

    def __exit__(self, *_: object) -> None:
        self._flush()

    def say(self, line: str) -> None:
        print(text.clean(line), file=sys.stderr, flush=True)

    def _flush(self) -> None:
        for event in self.state.events[self._events :]:
            self.say(event)
        self._events = len(self.state.events)

    def progress(self, what: str, done: float) -> None:
        began = self.state.doing is not None  # a thing that is done at once is not worth a line
        self.state.progress(what, done)
        ended = done >= 1 and began and what not in self._done
        if ended or (done < 1 and time.monotonic() - self._said > self.every_s):
            self._said = time.monotonic()
            self.say(f"{what}: {100 * done:.0f} %")
        if ended:
            self._done.add(what)

    def hear(self, record: msgspec.Struct) -> None:
        self.state.hear(record)
        if isinstance(record, Opening):
            for line in header(record):
                self.say(line)
        self._flush()
        if isinstance(record, Generation) and time.monotonic() - self._said > self.every_s:
            self._said = time.monotonic()
            self.say("  ".join(f"{k}: {v}" for k, v in self.state.lines()))

    def catch_up(self, history: RunHistory) -> None:
        self.state.catch_up(history)
        self._flush()

    def wait(self, seconds: float | None) -> None:
        self.state.wait(seconds)
        if seconds is not None and seconds >= 1:
            self._said = time.monotonic()
            self.say(f"waiting {seconds:.0f} s for the gate: its answers leave on a schedule, whatever the work takes")


class LivePanel:
    """The live view, redrawn four times a second by rich."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live

        self.state = State()
        self._console = Console(stderr=True)
        self._live = Live(
            get_renderable=self._render,
            console=self._console,
            refresh_per_second=4,
            transient=False,
            redirect_stderr=False,
        )
        self.progress = self.state.progress
        self.wait = self.state.wait
        self.catch_up = self.state.catch_up

    def __enter__(self) -> LivePanel:
        self._live.__enter__()
        return self

    def __exit__(self, *exc: Any) -> None:
        self._live.__exit__(*exc)

    def hear(self, record: msgspec.Struct) -> None:
        self.state.hear(record)
        if not isinstance(record, Opening):
            return
        first, *rest = header(record)
        self._console.print(first, style="bold", markup=False, highlight=False)
        for line in rest:
            style = "bold red" if "NONE" in line else "dim"
            self._console.print(line, style=style, markup=False, highlight=False)

    def say(self, line: str) -> None:
        self._console.print(text.clean(line), style="dim", markup=False, highlight=False)

    def _render(self) -> Any:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        s = self.state
        if s.doing is not None or s.opening is None:
            what, done = s.doing or ("starting", 0.0)
            row = Table.grid(padding=(0, 2))
            row.add_row(Text(what, style="cyan"), ProgressBar(total=1, completed=done, width=40), f"{100 * done:.0f} %")
            return row
        bar = Table.grid(padding=(0, 2))
        left = s.elapsed * (1 - s.fraction) / s.fraction if s.fraction > 0.02 else None
        clock = f"{s.elapsed:.0f} s" + (f", about {left:.0f} s left" if left is not None and s.fraction < 1 else "")
        bar.add_row(ProgressBar(total=1, completed=s.fraction, width=48), clock)
        table = Table.grid(padding=(0, 2))
        for label, value in s.lines():
            table.add_row(
                Text(label, style="dim"), Text(value, style="bold green" if label == "champion" and s.measured else "")
            )
        events = [Text(e, style="green" if "PROMOTE" in e else "dim") for e in s.events[-6:]]
        return Group(bar, table, *events)


def screen() -> PlainScreen | LivePanel:
    """The live panel if stderr is a terminal, else plain lines."""
    return LivePanel() if sys.stderr.isatty() else PlainScreen()
