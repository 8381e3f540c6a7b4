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
from toprope.run.desk import Desk

TOKEN_LEAST = 16  # characters
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
        if len(parts) != 2 or len(parts[1]) < TOKEN_LEAST or parts[0] in found or not parts[0].isalnum():
            raise UsageError(
                f"--tokens {path} line {number}: expected a new name of letters and digits, and a token of at least "
                f"{TOKEN_LEAST} characters"
            )
        found[parts[0]] = parts[1]
    if not found:
        raise UsageError(f"--tokens {path} is empty; expected lines NAME TOKEN")
    return found


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
    from mcp.server.mcpserver import MCPServer

    words = briefing.prompt(task.spec, name, "your own", box.quota)
    server = MCPServer("toprope", instructions=words, log_level="ERROR", **options)
    for tool in tools_of(task):
        server.add_tool(_tool(tool, whose), name=tool)
    return server


def _tool(name: str, whose: Callable[[], Toolbox]) -> Callable[..., Any]:
    import anyio

    async def call(*args: Any, **kwargs: Any) -> str:
        act = getattr(whose(), name)
        said: str = await anyio.to_thread.run_sync(functools.partial(act, *args, **kwargs))
        return said

    described(call, getattr(Toolbox, name), method=True)
    return call
