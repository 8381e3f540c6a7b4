"""`toprope mcp`: a real MCP client drives the real server, over stdio and over HTTP with tokens."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import time

import anyio
import pytest
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client

from toprope.errors import UsageError
from toprope.researchers.server import read_tokens
from toprope.run.story import read

TASK = "testing/coin-v1"


def words(result):
    return "".join(part.text for part in result.content)


def test_a_client_climbs_over_stdio(tmp_path):
    """Tools have their names, types and words; a candidate is edited, scored, sent; the run knows its author."""
    run = tmp_path / "run"

    async def climb():
        argv = ["-m", "toprope.cli", "mcp", TASK, "--run", str(run), "--workers", "1", "--attempts", "2"]
        server = StdioServerParameters(command=sys.executable, args=argv, env=dict(os.environ))
        async with stdio_client(server) as streams, ClientSession(*streams) as session:
            hello = await session.initialize()
            tools = {t.name: t for t in (await session.list_tools()).tools}
            told = []
            for skill in (0.01, 0.02, 0.03, 0.09):
                params = json.dumps({"face": 1, "act": "ok", "skill": skill})
                await session.call_tool("edit", {"path": "candidate/params.json", "content": params})
                told.append(words(await session.call_tool("evaluate", {"folder": "candidate"})))
            wrong = words(await session.call_tool("evaluate", {"folder": "../../../vault"}))
            answer = words(await session.call_tool("attempt", {"candidate": told[-1].split()[1].rstrip(":")}))
            return hello, tools, told, wrong, answer

    hello, tools, told, wrong, answer = anyio.run(climb)
    assert "gate" in hello.instructions
    assert set(tools) >= {"run", "edit", "evaluate", "attempt", "share_finding", "leaderboard"}
    schema = tools["attempt"].input_schema
    assert schema["properties"]["candidate"]["type"] == "string"
    assert "self" not in schema["properties"]
    assert all("dev 0." in t for t in told)
    assert "outside the workspace" in wrong
    assert answer.startswith("PROMOTE")
    story = read(run)
    assert {a.name for b in story.blocks if (a := b.author)} == {"agent"}
    assert len((run / "researchers" / "agent" / "calls.jsonl").read_text().splitlines()) == 10


@contextlib.contextmanager
def serving(tmp_path, *options):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    tokens = tmp_path / "tokens"
    tokens.write_text("ada 0123456789abcdef0\nbob fedcba98765432100\n")
    tokens.chmod(0o600)
    argv = [sys.executable, "-m", "toprope.cli", "mcp", TASK, "--http", str(port), "--tokens", str(tokens), *options]
    process = subprocess.Popen([*argv, "--workers", "1"], stderr=subprocess.DEVNULL)
    try:
        for _ in range(600):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
        process.terminate()
        process.wait(30)


def test_agents_are_told_apart_by_their_tokens(tmp_path):
    """Each has its own room and quota; a wrong token, or none, is refused."""
    import httpx2 as httpx
    from mcp.client.streamable_http import streamable_http_client

    async def ask(url, token, *calls):
        async with (
            httpx.AsyncClient(headers={"authorization": f"Bearer {token}"}, timeout=60) as http,
            streamable_http_client(url, http_client=http) as streams,
            ClientSession(streams[0], streams[1]) as session,
        ):
            await session.initialize()
            return [words(await session.call_tool(name, arguments)) for name, arguments in calls]

    run = tmp_path / "run"
    with serving(tmp_path, "--run", str(run), "--each", "1") as url:
        note = ("notebook", {"text": "mine"})
        assert anyio.run(ask, url, "0123456789abcdef0", note) == ["mine\n"]
        said = anyio.run(ask, url, "fedcba98765432100", ("notebook", {}), ("evaluate", {"folder": "starter"}))
        assert said[0] == "the notebook is empty"
        for headers in ({}, {"authorization": "Bearer 0123456789abcdef1"}):
            reply = httpx.post(url, headers=headers, json={"jsonrpc": "2.0", "id": 1, "method": "tools/list"})
            assert reply.status_code == 401
    assert sorted(p.name for p in (run / "researchers").iterdir()) == ["ada", "bob"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ada",
        "ada short",
        "ada 0123456789abcdef0\nada 0123456789abcdef1",
        "a/b " + "x" * 20,
        "a" * 33 + " " + "x" * 20,
        "a " + "x" * 20 + "\nb " + "x" * 20,
    ],
)
def test_tokens_that_are_none(tmp_path, text):
    """Each in one line; a file that others can read is refused too."""
    path = tmp_path / "tokens"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(UsageError, match="--tokens"):
        read_tokens(path)
    path.chmod(0o644)
    with pytest.raises(UsageError, match="can be read by others"):
        read_tokens(path)
