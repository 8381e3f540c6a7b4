"""A researcher's tools, as plain methods that answer in text: one object per researcher.

The tools for Inspect (`team.py`) and of the MCP server (`server.py`) only wrap these. A mistake of the researcher gets
an answer that says what was wrong; it never ends a run.
"""

from __future__ import annotations

import contextlib
import functools
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Concatenate, ParamSpec

import numpy as np

from toprope.errors import UsageError
from toprope.journal.records import Queried
from toprope.protocols import Task, imitation
from toprope.referee.program import Cost
from toprope.researchers import findings
from toprope.researchers.workspace import ROOM, Workspace, explained
from toprope.run import public_brief
from toprope.run.accounts import Quota
from toprope.run.practice import PracticeResult
from toprope.run.submissions import Submissions
from toprope.run.submit import read_candidate
from toprope.stats.intervals import told

P = ParamSpec("P")
SHOWN = 8000  # characters of a command's output that are shown
ROWS = 15  # of the leaderboard
KEPT = 2000  # characters of each argument and answer in the log
LINE = 16 << 10  # bytes of a call in the log
LOG, CALLS = 64 << 20, 50_000  # bytes of one researcher's log, and calls in it, over all sessions
NAMES = (
    "run",
    "edit",
    "evaluate",
    "attempt",
    "share_finding",
    "read_findings",
    "leaderboard",
    "fetch_snapshot",
    "notebook",
)
PLAIN = ("share_finding", "read_findings", "leaderboard", "fetch_snapshot", "notebook")  # the names explain them
ORACLE = "ask_oracle"  # only if the task has a program to imitate


def tools_of(task: Task) -> tuple[str, ...]:
    """Names of the tools for a task."""
    return (*NAMES, ORACLE) if imitation(task) else NAMES


def tool(act: Callable[Concatenate[Toolbox, P], str]) -> Callable[Concatenate[Toolbox, P], str]:
    """Makes a method a tool: calls are logged, and a UsageError becomes an answer."""

    @functools.wraps(act)
    def answered(self: Toolbox, *args: P.args, **kwargs: P.kwargs) -> str:
        if full := self.full():
            return f"not done: {full}"
        began = time.time()
        given: Any = [_text(a) if isinstance(a, str) else a for a in args]
        named: Any = {k: _text(v) if isinstance(v, str) else v for k, v in kwargs.items()}
        try:
            answer = act(self, *given, **named)
        except UsageError as e:
            answer = f"not done: {str(e).replace(str(self.workspace.folder), ROOM)}"
        answer = _text(answer)
        self.log(act.__name__, {**dict(enumerate(args)), **kwargs}, answer, began)
        return answer

    return answered  # type: ignore[return-value]  # functools.wraps loses the type of a method


class Toolbox:
    """One researcher's tools. record: file that every call is appended to. gate_s: seconds that a call waits for the
    gate; None: until it answers. words: the text of its briefing."""

    def __init__(
        self,
        submissions: Submissions,
        name: str,
        workspace: Workspace,
        record: Path,
        gate_s: float | None = None,
        words: str = "",
    ) -> None:
        self._gate_s, self._words = gate_s, words
        self.submissions, self.name, self.workspace, self._record = submissions, name, workspace, record
        self._asking, self._logging, self._telling = threading.Lock(), threading.Lock(), threading.Lock()
        self._told_notes = 0  # number of the operator's last note that this conversation was told
        self._calls, self._bytes = _logged(record)

    @property
    def quota(self) -> Quota:
        return self.submissions.quota

    @tool
    def briefing(self) -> str:
        """Read the rules, the problem, and what a candidate is. Read it before anything else."""
        return self._words

    @tool
    def run(self, command: str, timeout_s: int = 60) -> str:
        """Run a shell command in your workspace.

        Args:
            command: for bash; several lines are fine.
            timeout_s: seconds after which it is stopped, at most 600.
        """
        done = self.workspace.run(["bash", "-c", command], timeout_s=min(max(timeout_s, 1), 600), output_max=4 * SHOWN)
        said = [done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")]
        end = f"[stopped after {timeout_s} s]" if done.timed_out else f"[exit status {done.code}]"
        if done.still_s >= 0.1:
            end += f" [your workspace was paused for {done.still_s:.1f} s while the gate worked]"
        return "\n".join([*(_shortened(s) for s in said if s), end])

    @tool
    def edit(self, path: str, content: str = "", old: str = "", new: str = "") -> str:
        """Write a file, or replace a passage that occurs exactly once in it.

        Args:
            path: below your workspace.
            content: the whole new file; leave it out to replace a passage.
            old: the passage as it is now; leave it out to write the whole file.
            new: the text that replaces it.
        """
        if bool(content) == bool(old):
            raise UsageError("edit needs either content, or old and new")
        if old:
            text = self.workspace.read(path).decode("utf-8", "replace")
            if text.count(old) != 1:
                raise UsageError(f"the passage occurs {text.count(old)} times in {path}; it must occur exactly once")
            content = text.replace(old, new)
        self.workspace.write(path, content.encode())
        return f"{path}: {len(content.encode())} bytes"

    @tool
    def evaluate(self, folder: str = "candidate", parent: str = "") -> str:
        """Score a candidate folder on all practice draws.

        Args:
            folder: below your workspace, with a solution.py and optionally params.json.
            parent: id of the candidate that it was made from, if any.
        """
        with self.workspace.lock, explained(folder):
            candidate = read_candidate(self.workspace.path(folder), None, self.submissions.spec)
        made_from = self.submissions.practice.find(parent).id if parent else ""
        return self._told(self.submissions.evaluate(candidate, self.name, made_from))

    @tool
    def attempt(self, candidate: str) -> str:
        """Send a candidate you evaluated to the gate, and wait for PROMOTE or NOT YET. Ask again if it says WAITING.

        Args:
            candidate: its id, or the first characters of it.
        """
        try:
            answer = self.submissions.send(candidate, self.name).result(self._gate_s)
        except TimeoutError:
            return "WAITING at the gate: no answer yet; go on with other work, and ask again for this candidate later"
        left = f"{self.quota.attempts - self.submissions.attempts(self.name)} attempts left"
        if answer is None or not answer.promoted:
            return f"NOT YET; {left}"
        m = answer.measured
        assert m is not None
        return f"PROMOTE; measured on fresh data {m.value:.4f} [{m.lo:.4f}, {m.hi:.4f}]; {left}"

    @tool
    def ask_oracle(self, arguments: list[str], stdin: str = "") -> str:
        """Ask the program that is to be imitated. Answers are counted: yours, and those of all together.

        Args:
            arguments: its command line, without the program's name.
            stdin: its standard input.
        """
        question = json.dumps({"argv": arguments, "stdin": stdin})
        with self._asking:  # one at a time, so that its cost is known before the next
            had = [q for q in self.submissions.accounts.queried if q.author == self.name]
            public_brief.allowed(self.name, len(had), Cost(sum(q.bytes for q in had), sum(q.seconds for q in had)))
            ((answer, cost),) = public_brief.counted(self.submissions.spec.id, [question], self.submissions.vault)
            if "error" not in answer:
                self.submissions.accounts.query(Queried(self.name, cost.bytes, round(cost.seconds, 3)))
        return json.dumps(answer)

    @tool
    def share_finding(self, kind: str, text: str, candidate: str = "") -> str:
        """Tell the other researchers something. You need not give scores: they are added from the record.

        Args:
            kind: result, hypothesis, insight or error.
            text: in your own words.
            candidate: id of the candidate it is about, if any.
        """
        found = findings.share(self.submissions, self.name, kind, text, candidate)
        return f"finding {found.number} is shared"

    @tool
    def read_findings(self, since: int = 0) -> str:
        """Read what others have shared, a few at a time; it also lies in findings/.

        Args:
            since: only findings with a higher number.
        """
        return findings.digest(self.submissions, since)

    @tool
    def leaderboard(self) -> str:
        """List the best candidates so far on practice draws, with the gate's answers."""
        rows = [f"{'candidate':14}{'author':14}{'dev value ± standard error':28}gate"]
        board = self.submissions.practice.leaderboard()
        for j in board[:ROWS]:
            value = f"{j.value:.4f} ± {self.submissions.practice.error(j):.4f}"
            rows.append(f"{j.id[:12]:14}{j.author[:12]:14}{value:28}{self._gate(j)}")
        rows.append(
            f"{len(board)} candidates, {len(self.submissions.practice.judged)} experiments, "
            f"{self.submissions.left} left to the run"
        )
        return "\n".join(rows)

    @tool
    def fetch_snapshot(self, candidate: str) -> str:
        """Copy any researcher's candidate into snapshots/ID of your workspace.

        Args:
            candidate: its id, or the first characters of it.
        """
        judged = self.submissions.practice.find(candidate)
        folder = f"snapshots/{judged.id[:12]}"
        for name, data in judged.candidate.tree.files.items():
            self.workspace.write(f"{folder}/{name}", data)
        if judged.candidate.params:
            self.workspace.write(f"{folder}/params.json", json.dumps(judged.candidate.params, indent=1).encode())
        return f"{folder}: {len(judged.candidate.tree.files)} files by {judged.author}, dev {judged.value:.4f}"

    @tool
    def notebook(self, text: str = "") -> str:
        """Add to your notebook, and read it back. Only the notebook is kept when your conversation is restarted.

        Args:
            text: what to add; leave it out to read only.
        """
        kept = self.workspace.read("notebook.md").decode("utf-8", "replace") if self._has("notebook.md") else ""
        if text.strip():
            kept = f"{kept}{text.strip()}\n"
            self.workspace.write("notebook.md", kept.encode())
        return kept[-SHOWN:] or "the notebook is empty"

    # ------------------------------------------------------------ around them

    def sync(self) -> None:
        """Writes new findings into the workspace, as files."""
        for f in self.submissions.accounts.findings:
            name = f"findings/{f.number:03d}-{_plain(f.author)}.md"
            with contextlib.suppress(UsageError):  # if the workspace takes no file, the tool still shows them
                if not self._has(name):
                    self.workspace.write(name, findings.page(self.submissions, f).encode())

    def notes(self) -> str:
        """The end of the notebook; empty if it cannot be read."""
        with contextlib.suppress(UsageError):
            return _text(self.workspace.read("notebook.md").decode("utf-8", "replace")[-SHOWN:])
        return ""

    def operator(self, again: bool = False) -> str:
        """The operator's notes that this conversation was not told yet, each in the ledger by now; empty without one.
        again: all of them, for a conversation that begins."""
        with self._telling:
            before = 0 if again else self._told_notes
            fresh = [note for note in self.submissions.inbox.take(self.name) if note.number > before]
            self._told_notes = fresh[-1].number if fresh else before
        return "\n\n".join(f"[note {n.number} of the operator, to {n.to or 'all'}]\n{n.text}" for n in fresh)

    def log(self, name: str, arguments: dict[Any, Any], answer: str, began: float) -> None:
        head = {"at": round(began, 3), "author": self.name, "tool": name}
        line = _line(head, {str(k): str(v) for k, v in arguments.items()}, answer)
        with self._logging, self._record.open("ab", buffering=0) as f:  # in one piece: several calls may end at once
            f.write(line)
            self._calls, self._bytes = self._calls + 1, self._bytes + len(line)
        if name != "run":
            self.sync()

    def full(self) -> str:
        """Why calls are no longer answered; empty while they are. Every call is recorded, and the log is limited."""
        if self._calls < CALLS and self._bytes < LOG:
            return ""
        return (
            f"researcher {self.name} has made {self._calls} calls, whose log holds {self._bytes} bytes; "
            f"the limits are {CALLS} calls and {LOG} bytes"
        )

    def _has(self, name: str) -> bool:
        """Whether the workspace has this file. Raises UsageError if a folder cannot be read."""
        with explained(name):
            return (self.workspace.folder / name).is_file()

    def _told(self, j: PracticeResult) -> str:
        if j.outcome != "ok":
            return f"candidate {j.id[:12]} ended as {j.outcome}: {j.message or 'no message'}"
        floors, ceilings = self.submissions.practice.anchors
        per_draw = (j.scores - floors) / float((ceilings - floors).mean())
        worst = np.argsort(per_draw)[:3].tolist()
        best = self.submissions.practice.leaderboard()[0]
        value = told(j.value, self.submissions.practice.error(j))
        return (
            f"candidate {j.id[:12]}: dev {value} over {len(j.scores)} draws; worst draws "
            + ", ".join(f"{i} ({per_draw[i]:.2f})" for i in worst)
            + f"; best so far {best.value:.4f} ({best.id[:12]} by {best.author})"
        )

    def _gate(self, j: PracticeResult) -> str:
        if j.id == self.submissions.champion.id and self.submissions.answers:
            return "champion"
        if self.submissions.waits(j.id):
            return "waiting at the gate"
        answer = self.submissions.answers.get(j.id)
        if answer is not None:
            return "promoted" if answer.promoted else "not yet"
        return "not yet" if j.id in self.submissions.asked else ""


def _text(value: str) -> str:
    """The text without lone surrogates, which files, ledgers and providers do not accept."""
    return value.encode("utf-8", "replace").decode()


def _logged(record: Path) -> tuple[int, int]:
    """Number of calls and bytes that a log already holds."""
    if not record.is_file():
        return 0, 0
    with record.open("rb") as f:
        return sum(1 for _ in f), record.stat().st_size


def _line(head: dict[str, Any], arguments: dict[str, str], answer: str) -> bytes:
    """A call as one line of the log; long arguments and answers are cut until the line has at most LINE bytes."""
    kept = KEPT
    while True:
        few = dict(list(arguments.items())[:16])
        told = {"arguments": {k[:80]: v[:kept] for k, v in few.items()}, "answer": answer[:kept]}
        line = json.dumps({**head, **told}).encode() + b"\n"
        if len(line) <= LINE or not kept:
            return line
        kept //= 2


def _plain(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-_" else "-" for c in name)


def _shortened(text: str) -> str:
    if len(text) <= SHOWN:
        return text
    return f"{text[: SHOWN // 2]}\n[... {len(text) - SHOWN} characters left out ...]\n{text[-SHOWN // 2 :]}"
