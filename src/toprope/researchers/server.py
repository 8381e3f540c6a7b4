"""A researcher's tools for any MCP client: Claude Code, Codex, an agent of one's own.

Over stdio for one agent, or over streamable HTTP on loopback for several, each known by a token of its own. Quotas are
the desk's, every call stands in the agent's log. Where the agent has a shell as the user who runs this, it can reach
the vault: only a referee under another user confines it (`toprope referee`), and every result says which it was.
"""

from __future__ import annotations

import functools
import hmac
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from toprope.errors import UsageError
from toprope.protocols import Task
from toprope.researchers import briefing
from toprope.researchers.team import described
from toprope.researchers.tools import Toolbox, tools_of
from toprope.researchers.workspace import Workspace
from toprope.run.desk import STARTER, Desk

TOKEN_LEAST = 16  # characters
NAME_MOST = 32  # characters: it is a folder's name and the ledger's
AT_ONCE = 4  # calls of one agent: what it asks for beyond that waits, and takes nobody else's turn
ONE = "agent"  # the name of the one agent over stdio


def needed() -> None:
    """Raises UsageError where the extra is not installed."""
    try:
        import mcp.server.mcpserver  # noqa: F401  is it there?
    except ImportError as e:
        raise UsageError(f"an MCP server needs the extra [llm] ({e}); `pip install 'toprope[llm]'`") from e


def read_tokens(path: Path) -> dict[str, str]:
    """name -> token, from lines of both. Raises UsageError for a file others can read, or a line that is neither."""
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


def boxes(desk: Desk, task: Task, directory: Path, seed: int, names: list[str]) -> dict[str, Toolbox]:
    """A room and tools for each agent."""
    found = {}
    for name in names:
        folder = directory / "researchers" / name
        room = Workspace(folder / "room")
        briefing.furnish(room, task, seed)
        found[name] = Toolbox(desk, name, room, folder / "calls.jsonl")
    return found


def serve_stdio(box: Toolbox, task: Task) -> None:
    """Until the client hangs up."""
    _server(task, box, lambda: box, ONE).run("stdio")


def serve_http(some: Mapping[str, Toolbox], task: Task, tokens: Mapping[str, str], port: int) -> None:
    """On loopback, until stopped. A request without a known token is refused with 401."""
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

    def whose() -> Toolbox:
        token = get_access_token()
        assert token is not None, "a request that nobody was asked to identify for"
        return some[token.client_id]

    here = AnyHttpUrl(f"http://127.0.0.1:{port}")
    settings = AuthSettings(issuer_url=here, resource_server_url=here, validate_token_resource=False)
    first = next(iter(some.values()))
    server = _server(task, first, whose, "you", token_verifier=Known(), auth=settings)
    server.run("streamable-http", host="127.0.0.1", port=port)


def _server(task: Task, box: Toolbox, whose: Callable[[], Toolbox], name: str, **options: Any) -> Any:
    """The tools under their own names and words. whose: the box of who asks, at the time of asking."""
    import anyio
    from mcp.server.mcpserver import MCPServer

    limits: dict[str, anyio.CapacityLimiter] = {}
    words = briefing.prompt(task.spec, name, "your own", box.quota)
    server = MCPServer("toprope", instructions=words, log_level="ERROR", **options)
    for tool in tools_of(task):
        server.add_tool(_tool(tool, whose, limits), name=tool)
    return server


def _tool(name: str, whose: Callable[[], Toolbox], limits: dict[str, Any]) -> Callable[..., Any]:
    """limits: of each agent, by name; filled here."""
    import anyio

    async def call(*args: Any, **kwargs: Any) -> str:
        box = whose()
        act, limit = getattr(box, name), limits.setdefault(box.name, anyio.CapacityLimiter(AT_ONCE))
        said: str = await anyio.to_thread.run_sync(functools.partial(act, *args, **kwargs), limiter=limit)
        return said

    described(call, getattr(Toolbox, name), method=True)
    return call
