"""A researcher's tools for any MCP client: Claude Code, Codex, or the user's own agent.

It serves one agent over stdio, or several over streamable HTTP on loopback, each with a token of its own. The server
answers before the run has started, because starting takes up to half a minute and clients wait less for a handshake;
the first tool call waits for the run. `Submissions` enforces the quotas, and each agent's log holds all its calls. An
agent with a shell as the user who runs this can reach the vault: only a referee under another user confines it
(`toprope referee`). Every result says which was the case.
"""

from __future__ import annotations

import contextlib
import functools
import hmac
import socket
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from toprope.errors import TopropeError, UsageError
from toprope.protocols import Task
from toprope.researchers import briefing, schema
from toprope.researchers.tools import ORACLE, PLAIN, Toolbox, tools_of
from toprope.researchers.wires import Wires
from toprope.researchers.workspace import Workspace
from toprope.run.accounts import Quota
from toprope.run.practice import STARTER
from toprope.run.submissions import Submissions
from toprope.version import __version__

TOKEN_LEAST = 16  # characters
NAME_MOST = 32  # characters: the name is used for a folder and in the ledger
AT_ONCE = 4  # concurrent calls of one agent; more calls wait and do not delay other agents
ONE = "agent"  # the name of the one agent over stdio
GATE_S = 45.0  # a call waits for the gate: many clients give up after 60 s
PROGRESS_S = 10.0  # between two progress reports of a call
HINTS = {  # for clients that ask their user before a call: (only reads, may destroy, repeating changes nothing)
    "briefing": (True, False, True),
    "run": (False, True, False),
    "edit": (False, True, False),
    "evaluate": (False, False, True),
    "attempt": (False, False, True),
    "share_finding": (False, False, False),
    "read_findings": (True, False, True),
    "leaderboard": (True, False, True),
    "fetch_snapshot": (False, False, True),
    "notebook": (False, False, False),
    "ask_oracle": (False, False, False),
}


def needed() -> None:
    """Raises UsageError if the extra is not installed."""
    try:
        import mcp.server.lowlevel  # noqa: F401  to see whether it is installed
    except ImportError as e:
        raise UsageError(f"an MCP server needs the extra [llm] ({e}); `pip install 'toprope[llm]'`") from e


def read_tokens(path: Path) -> dict[str, str]:
    """name -> token, from lines NAME TOKEN. Raises UsageError for a file that others can read, and a malformed line."""
    try:
        if path.stat().st_mode & 0o077:
            raise UsageError(f"--tokens {path} can be read by others; `chmod 600 {path}`")
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as e:
        raise UsageError(f"--tokens {path}: {getattr(e, 'strerror', None) or e}; expected lines NAME TOKEN") from e
    found: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        parts = line.split()
        if not parts:
            continue
        if len(parts) != 2 or len(parts[1]) < TOKEN_LEAST or parts[1] in found.values() or not _new(parts[0], found):
            raise UsageError(
                f"--tokens {path} line {number}: expected a new name of up to {NAME_MOST} letters and digits, and a "
                f"token of its own of at least {TOKEN_LEAST} characters"
            )
        found[parts[0]] = parts[1]
    if not found:
        raise UsageError(f"--tokens {path} is empty; expected lines NAME TOKEN")
    return found


def _new(name: str, known: Mapping[str, str]) -> bool:
    return name.isascii() and name.isalnum() and len(name) <= NAME_MOST and name not in {*known, STARTER}


def boxes(submissions: Submissions, task: Task, directory: Path, seed: int, names: list[str]) -> dict[str, Toolbox]:
    """A workspace and tools for each agent, by name."""
    found = {}
    others = [name for name in tools_of(task) if name in (*PLAIN, ORACLE)]
    for name in names:
        folder = directory / "researchers" / name
        workspace = Workspace(folder / "room")
        words = briefing.prompt(task, name, "", submissions.quota, [*others, "briefing"])
        briefing.prepare_workspace(workspace, task, seed, words)
        submissions.workspaces.append(workspace.still)
        found[name] = Toolbox(submissions, name, workspace, folder / "calls.jsonl", GATE_S, words)
    return found


class Agents:
    """The toolboxes of a run that is starting, by name; calls wait until they exist."""

    def __init__(self) -> None:
        self._known = threading.Event()
        self._boxes: Mapping[str, Toolbox] = {}
        self._why = ""
        self._greeted: set[str] = set()

    def begin(self, boxes: Mapping[str, Toolbox]) -> None:
        self._boxes = boxes
        self._known.set()

    def fail(self, why: str) -> None:
        """The run does not start: every call is answered with this line."""
        self._why = why
        self._known.set()

    @property
    def ready(self) -> bool:
        return self._known.is_set()

    def call(self, who: str, tool: str, arguments: Mapping[str, Any], greeting: str) -> tuple[list[str], bool]:
        """The parts of the tool's answer, and whether it is an error. Notes of the operator are a part of their own
        before it, so that no text in an answer can pass for one. The first answer to an agent begins with the rules,
        because not every client shows them to its model in another way."""
        self._known.wait()
        if self._why:
            return [f"the run did not start: {self._why}"], True
        try:
            said: str = getattr(self._boxes[who], tool)(**arguments)
            notes = self._boxes[who].operator()
        except TopropeError as e:  # a failure of the run: a scorer that keeps dying, a full disk
            return [str(e)], True
        if who in self._greeted or tool == "briefing":
            greeting = ""
        self._greeted.add(who)
        return [*([notes] if notes else []), f"{greeting}\n----\n{said}" if greeting else said], False


def serve_stdio(agents: Agents, task: Task, quota: Quota, wires: Wires) -> None:
    """Serves until the client hangs up."""
    import anyio

    server = _server(agents, task, quota, lambda: ONE)

    async def serve() -> None:
        from mcp.server.stdio import stdio_server

        async with stdio_server(wires, wires) as streams:  # type: ignore[arg-type]
            await server.run(*streams, server.create_initialization_options())

    anyio.run(serve)


def listening(port: int) -> socket.socket:
    """A listening socket on loopback. Raises UsageError for a port that is not available."""
    try:
        return socket.create_server(("127.0.0.1", port), backlog=64)
    except OSError as e:
        raise UsageError(f"--http {port}: {e.strerror}; name a free port of 127.0.0.1") from e


def serve_http(agents: Agents, task: Task, quota: Quota, tokens: Mapping[str, str], on: socket.socket) -> Any:
    """A `uvicorn.Server` and the function that runs it. A request without a known token is refused with 401."""
    import uvicorn
    from mcp.server.auth.middleware.auth_context import get_access_token
    from mcp.server.auth.provider import AccessToken
    from mcp.server.auth.settings import AuthSettings
    from pydantic import AnyHttpUrl

    class Known:
        async def verify_token(self, token: str) -> AccessToken | None:
            for name, own in tokens.items():
                if hmac.compare_digest(own.encode(), token.encode("utf-8", "replace")):
                    return AccessToken(token=token, client_id=name, scopes=[])
            return None

    def whose() -> str:
        token = get_access_token()
        assert token is not None, "a request that passed without authentication"
        return token.client_id

    here = AnyHttpUrl(f"http://127.0.0.1:{on.getsockname()[1]}")
    settings = AuthSettings(issuer_url=here, resource_server_url=here, validate_token_resource=False)
    app = _server(agents, task, quota, whose).streamable_http_app(auth=settings, token_verifier=Known())
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=1))
    return server, functools.partial(server.run, sockets=[on])


def _server(agents: Agents, task: Task, quota: Quota, whose: Callable[[], str]) -> Any:
    """The MCP server with all tools. whose: called during a request, returns the name of the agent that sent it."""
    import mcp_types as types
    from mcp.server.lowlevel.server import Server

    names = ("briefing", *tools_of(task))
    takes = {name: schema.schema(getattr(Toolbox, name)) for name in names}
    words = briefing.first(task.spec, quota)
    limits: dict[str, Any] = {}

    async def listed(_: Any, __: Any) -> types.ListToolsResult:
        return types.ListToolsResult(tools=[_described(name, takes[name]) for name in names])

    async def called(context: Any, asked: Any) -> Any:
        name, given = asked.name, dict(asked.arguments or {})
        if name not in takes:
            return _said([f"tool {name[:80]!r} is unknown; expected one of {', '.join(names)}"], True)
        if why := schema.wrong(name, takes[name], given):
            return _said([why], True)
        return _said(*await _patiently(agents, context, whose(), limits, name, given, words))

    return Server("toprope", version=__version__, instructions=words, on_list_tools=listed, on_call_tool=called)


def _described(name: str, takes: Mapping[str, Any]) -> Any:
    import mcp_types as types

    reads, destroys, repeats = HINTS[name]
    hints = types.ToolAnnotations(
        read_only_hint=reads, destructive_hint=destroys, idempotent_hint=repeats, open_world_hint=False
    )
    told = schema.words(getattr(Toolbox, name))
    return types.Tool(name=name, description=told, input_schema=dict(takes), annotations=hints)


def _said(parts: list[str], fault: bool) -> Any:
    import mcp_types as types

    return types.CallToolResult(content=[types.TextContent(type="text", text=part) for part in parts], is_error=fault)


async def _patiently(
    agents: Agents, context: Any, who: str, limits: dict[str, Any], name: str, given: dict[str, Any], words: str
) -> tuple[list[str], bool]:
    """Runs the tool in a thread and reports progress meanwhile. A call whose client hangs up is abandoned, but goes on.
    limits: of concurrent calls, by agent; filled here."""
    import anyio

    limit = limits.setdefault(who, anyio.CapacityLimiter(AT_ONCE))

    async def alive() -> None:
        done = 0
        while True:
            await anyio.sleep(PROGRESS_S)
            done += 1
            what = f"{name} is running" if agents.ready else "the run is starting"
            with contextlib.suppress(Exception):  # the client may be gone; its call goes on
                await context.session.report_progress(done, None, what)

    async with anyio.create_task_group() as beside:
        beside.start_soon(alive)
        call = functools.partial(agents.call, who, name, given, words)
        answer = await anyio.to_thread.run_sync(call, limiter=limit, abandon_on_cancel=True)
        beside.cancel_scope.cancel()
    return answer
