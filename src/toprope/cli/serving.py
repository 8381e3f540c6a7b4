"""What `toprope mcp` does: it answers its client at once, starts the run meanwhile, and ends when the client ends."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from toprope import paths
from toprope.api import able, connect
from toprope.cli.group import complain, cores, proven
from toprope.errors import TopropeError, UsageError
from toprope.journal.spec import External, RunSpec, among
from toprope.researchers import server
from toprope.researchers.wires import Wires
from toprope.run.accounts import Quota
from toprope.run.session import Session
from toprope.tasks import registry
from toprope.view import terminal

CODE_ENDED = 143  # exit status of a process that SIGTERM ended


def serve(named: str, run_dir: Path | None, options: dict[str, Any]) -> None:
    """Serves until the client ends, then leaves the process. If the run does not start, the client is told first."""
    wires = Wires() if options["http"] is None else None  # before any code is loaded that could print
    tokens = server.read_tokens(options["tokens"]) if options["tokens"] is not None else {}
    wish = RunSpec.from_keywords(
        named, "external", **among({**options, "tokens": None, "researchers": max(1, len(tokens))})
    )
    able(wish)
    names = list(tokens) or [server.ONE]
    directory = run_dir or paths.new_run(named)
    link = connect(options["referee"], options["referee_token_file"])
    agents, over = server.Agents(), threading.Event()
    with _told_to_end(over) as told:
        hang_up = _serving(agents, named, Quota.of(wish.plan), tokens, wires or options["http"], over)
        try:
            _climbed(agents, over, wish, directory, names, options, link)
        except (TopropeError, OSError) as e:
            complain(str(e))
            agents.fail(" ".join(str(e).split()))
            if options["http"] is None:
                over.wait()  # a client over stdio may still ask why
            _leave(e.exit_code if isinstance(e, TopropeError) else 2)
        except KeyboardInterrupt:
            complain(f"interrupted; nothing is lost, `toprope mcp {named} --run {directory}` continues")
            _leave(130)
        finally:
            hang_up()
        if told or threading.active_count() > 1:
            _leave(CODE_ENDED if told else 0)


def _climbed(
    agents: server.Agents, over: threading.Event, wish: RunSpec, directory: Path, names: list[str],
    options: dict[str, Any], link: Any,
) -> None:  # fmt: skip
    """One session, until `over`."""

    def tier(before: str | None) -> Any:
        return proven(False, options["tier"] if before is None else before)

    ask = None if (directory / "ledger.db").is_file() else wish
    workers, cap = options["workers"] or cores(), options["candidate_tokens"]
    with Session(directory, ask, tier, workers, terminal.PlainScreen(), link, cap) as session:
        o = session.opening.spec
        if o.task != wish.task or not isinstance(o.climber, External):
            raise UsageError(
                f"run {directory} is a climb of {o.task} by {o.climber.label}; expected {wish.task} by agents of your "
                "own; name another --run"
            )
        submissions = session.submissions(Quota.of(o.plan))
        agents.begin(server.boxes(submissions, session.task, directory, o.seed, names))
        session.screen.say(f"run {directory}: ready")
        over.wait()
        submissions.close()
        if options["unseal"]:
            _unsealed(session, submissions, directory)
        elif waiting := submissions.waiting:
            session.screen.say(
                f"{waiting} attempts wait at the gate; `toprope mcp {o.task} --run {directory}` asks again"
            )


def _unsealed(session: Session, submissions: Any, directory: Path) -> None:
    """Says first how to continue if the process is ended meanwhile; an opening that has begun is not counted twice."""
    session.screen.say(
        f"run {directory}: opening the sealed test; if this is ended before it is done, `toprope unseal {directory}` "
        "finishes it"
    )
    submissions.settled()
    session.unseal()
    session.screen.say(f"run {directory}: the sealed test is open")


def _serving(
    agents: server.Agents, named: str, quota: Quota, tokens: dict[str, str], by: Wires | int, over: threading.Event
) -> Callable[[], None]:
    """Starts to serve in a thread, which sets `over` when the client hangs up, and returns a function that ends it.
    by: the wires of one client, or a port for several."""
    task = registry.load(named)
    if isinstance(by, Wires):

        def run() -> None:
            server.serve_stdio(agents, task, quota, by)

        end = over.set
    else:
        web, run = server.serve_http(agents, task, quota, tokens, server.listening(by))

        def end() -> None:
            web.should_exit = True

    def until_over() -> None:
        try:
            run()
        finally:
            over.set()

    threading.Thread(target=until_over, daemon=True).start()
    return end


@contextlib.contextmanager
def _told_to_end(over: threading.Event) -> Iterator[list[int]]:
    """SIGTERM acts like a client that hangs up; a second one changes nothing, so that work in progress can end."""
    told: list[int] = []

    def hang_up(number: int, _: Any) -> None:
        told.append(number)
        over.set()

    before = signal.signal(signal.SIGTERM, hang_up)
    try:
        yield told
    finally:
        signal.signal(signal.SIGTERM, before)


def _leave(code: int) -> None:
    """Ends the process at once: a thread that waits for a client's next line, or for a command in a workspace, would
    keep it alive."""
    sys.stderr.flush()
    os._exit(code)
