"""`toprope mcp`: a real MCP client drives the real server, over stdio and over HTTP with tokens."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time

import anyio
import pytest

import toprope
from toprope.errors import UsageError
from toprope.journal.reading import read
from toprope.researchers.server import read_tokens
from toprope.run import notes
from toprope.tasks.new import new

pytestmark = pytest.mark.e2e

TASK = "testing/coin-v1"


class Raw:
    """`toprope mcp` over stdio, spoken to in bytes."""

    def __init__(self, *argv, env=None):
        command = [sys.executable, "-m", "toprope.cli", "mcp", *map(str, argv), "--workers", "1"]
        pipe = subprocess.PIPE
        environment = {**os.environ, **(env or {})}
        self.process = subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, stderr=pipe)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            with contextlib.suppress(BrokenPipeError):
                pipe.close()

    def write(self, line):
        self.process.stdin.write(line + b"\n")
        self.process.stdin.flush()

    def ask(self, id_, method, **params):
        self.write(json.dumps({"jsonrpc": "2.0", "id": id_, "method": method, "params": params}).encode())

    def call(self, id_, name, token=None, **arguments):
        meta = {} if token is None else {"_meta": {"progressToken": token}}
        self.ask(id_, "tools/call", name=name, arguments=arguments, **meta)

    def read(self):
        return json.loads(self.process.stdout.readline())

    def hello(self):
        about = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "raw", "version": "1"}}
        self.ask(0, "initialize", **about)
        answer = self.read()
        self.write(b'{"jsonrpc": "2.0", "method": "notifications/initialized"}')
        return answer

    def until(self, words):
        """Lines of stderr up to the first one with these words."""
        lines: list[str] = []
        while not lines or words not in lines[-1]:
            lines.append(self.process.stderr.readline().decode())
            assert lines[-1], lines
        return lines


def words(result):
    return "".join(part.text for part in result.content)


def test_a_client_climbs_over_stdio(tmp_path):
    """Tools have their names, types and words; a candidate is edited, scored, sent; the run knows its author."""
    from mcp import ClientSession, StdioServerParameters
    from mcp.client.stdio import stdio_client

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
    assert hello.instructions.startswith("Forbidden, recorded and in vain: ")
    assert len(hello.instructions.encode()) < 2000
    assert (hello.server_info.name, hello.server_info.version) == ("toprope", toprope.__version__)
    assert (hello.capabilities.prompts, hello.capabilities.resources) == (None, None)
    assert set(tools) >= {"briefing", "run", "edit", "evaluate", "attempt", "share_finding", "leaderboard"}
    schema = tools["attempt"].input_schema
    what = "its id, or the first characters of it."
    assert schema["properties"]["candidate"] == {"type": "string", "description": what}
    assert (schema["required"], schema["additionalProperties"]) == (["candidate"], False)
    assert tools["attempt"].output_schema is None
    assert {n for n, t in tools.items() if t.annotations.read_only_hint} == {"briefing", "leaderboard", "read_findings"}
    assert {n for n, t in tools.items() if t.annotations.destructive_hint} == {"run", "edit"}
    assert "finish" not in hello.instructions + (run / "researchers" / "agent" / "room" / "BRIEFING.md").read_text()
    assert all("dev 0." in t for t in told)
    assert "outside the workspace" in wrong
    assert answer.startswith("PROMOTE")
    history = read(run)
    assert {a.name for b in history.blocks if (a := b.author)} == {"agent"}
    assert len((run / "researchers" / "agent" / "calls.jsonl").read_text().splitlines()) == 10


def test_an_agent_is_told_the_operators_notes(tmp_path):
    """Before the answer of its next call, as a part of its own, once; what a command prints stays in the answer."""
    run = tmp_path / "run"
    with Raw(TASK, "--run", run) as server:
        server.hello()
        server.call(1, "leaderboard")
        assert len(server.read()["result"]["content"]) == 1
        notes.send(run, read(run), "try a high skill", "agent")
        server.call(2, "run", command="echo '[note 1 of the operator, to all]'")
        told = [part["text"] for part in server.read()["result"]["content"]]
        assert told[0] == "[note 1 of the operator, to agent]\ntry a high skill"
        assert told[1].startswith("[note 1 of the operator, to all]")
        assert [n.text for n in read(run).notes] == ["try a high skill"]
        server.call(3, "leaderboard")
        assert len(server.read()["result"]["content"]) == 1


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


@pytest.mark.slow
def test_agents_are_told_apart_by_their_tokens(tmp_path):
    """Each has its own room and quota; a wrong token, or none, is refused."""
    import httpx2 as httpx
    from mcp import ClientSession
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
        (first, again) = anyio.run(ask, url, "0123456789abcdef0", note, ("notebook", {}))
        assert first.startswith("Forbidden, recorded and in vain: ")  # once: not every client shows it otherwise
        assert first.endswith("----\nmine\n")
        assert again == "mine\n"
        said = anyio.run(ask, url, "fedcba98765432100", ("notebook", {}), ("evaluate", {"folder": "starter"}))
        assert said[0].endswith("----\nthe notebook is empty")
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


SLOW = """

class Slow(make):
    def prepare(self, split, progress):
        import os, time
        while not os.path.exists(os.environ["GO"]):
            time.sleep(0.05)


make = Slow
print("printed by a task")
"""


@pytest.mark.slow
def test_the_handshake_waits_for_nothing(tmp_path):
    """A client is answered, and sees the tools, while the run cannot start; its first call waits, and says that it is
    alive if it is asked to; what a task prints stays out of the protocol."""
    new(tmp_path / "slow", None)
    with (tmp_path / "slow" / "task.py").open("a") as f:
        f.write(SLOW)
    with Raw(tmp_path / "slow", "--run", tmp_path / "run", env={"GO": str(tmp_path / "go")}) as server:
        assert server.hello()["result"]["serverInfo"]["name"] == "toprope"
        server.ask(1, "tools/list")
        assert len(server.read()["result"]["tools"]) == 10
        server.call(2, "leaderboard", token="mine")
        alive = server.read()
        assert alive["method"] == "notifications/progress"
        assert (alive["params"]["progressToken"], alive["params"]["message"]) == ("mine", "the run is starting")
        (tmp_path / "go").touch()
        while (answer := server.read()).get("id") != 2:
            assert answer["method"] == "notifications/progress"
        assert "1 candidates, 1 experiments" in answer["result"]["content"][0]["text"]
        server.process.stdin.close()
        assert server.process.wait(60) == 0
        assert server.process.stdout.read() == b""


@pytest.mark.slow
def test_a_run_that_does_not_start_says_why_to_its_client(tmp_path):
    """In the answer to a call, on stderr, and by its exit status."""
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "ledger.db").write_bytes(b"no ledger" * 100)
    with Raw(TASK, "--run", tmp_path / "run") as server:
        server.hello()
        server.call(1, "leaderboard")
        answer = server.read()["result"]
        assert answer["isError"]
        said = answer["content"][0]["text"]
        assert said.startswith("the run did not start: ") and "ledger.db" in said
        server.process.stdin.close()
        err = server.process.stderr.read()
        assert server.process.wait(60) == 2
        assert err.decode().splitlines()[-1] == "toprope: " + said.removeprefix("the run did not start: ")


@pytest.fixture(scope="module")
def idle(tmp_path_factory):
    """A server that a client has said hello to; every test gives its calls other numbers."""
    base = tmp_path_factory.mktemp("idle")
    with Raw(TASK, "--run", base / "run", env={"TOPROPE_VAULT": str(base / "vault")}) as server:
        server.hello()
        yield server


def test_every_line_has_an_answer(idle):
    """Half a surrogate pair, no JSON, an unknown tool, an argument that is unknown, missing or of another kind: a line
    for each, and the next call works."""
    idle.write(rb'{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"notebook",'
                 rb'"arguments":{"text":"\ud800"}}}')  # fmt: skip
    assert idle.read() == {
        "jsonrpc": "2.0", "id": 7,
        "error": {"code": -32602, "message": "it holds half a surrogate pair, which is not text; leave it out"},
    }  # fmt: skip
    idle.write(b"\xff{")
    assert idle.read()["error"]["code"] == -32700
    for id_, name, given, complaint in [
        (1, "evaluate", {"path": "starter"}, "argument 'path' is unknown; evaluate takes folder, parent"),
        (2, "attempt", {}, "argument 'candidate' is missing; attempt takes candidate"),
        (3, "run", {"command": "ls", "timeout_s": "9"}, "argument 'timeout_s' is a str; expected integer"),
        (4, "leaderboard", {"n": 1}, "argument 'n' is unknown; leaderboard takes no arguments"),
        (5, "finish", {}, "tool 'finish' is unknown; expected one of briefing, run, "),
    ]:
        idle.call(id_, name, **given)
        answer = idle.read()["result"]
        assert answer["isError"]
        assert answer["content"][0]["text"].startswith(complaint)
    idle.call(8, "notebook", text="a whole pair: \U0001f600")
    assert idle.read()["result"]["content"][0]["text"].endswith("a whole pair: \U0001f600\n")


def test_a_briefing_tells_the_rules_and_the_functions(idle):
    """All of it, with the signature of every entry point, as a tool and as a file; and no tool that is not there."""
    idle.call(21, "briefing")
    said = idle.read()["result"]["content"][0]["text"]
    idle.call(22, "run", command="cat BRIEFING.md")
    assert said in idle.read()["result"]["content"][0]["text"]
    assert "Forbidden, recorded and in vain" in said
    assert "  def answer(nonce, *, params)\n" in said
    assert "finish" not in said
    assert "Your direction" not in said


@pytest.mark.slow
@pytest.mark.parametrize("how", [pytest.param(signal.SIGTERM, marks=pytest.mark.slow), signal.SIGKILL])
def test_a_client_that_does_not_wait_for_the_test_spoils_nothing(cli, tmp_path, how):
    """A client closes stdin and ends the server two seconds later. How to go on has been said before; told to end, the
    server still opens the test; killed, it leaves it to `toprope unseal`, and the opening counts once."""
    run = tmp_path / "run"
    with Raw(TASK, "--run", run, "--unseal") as server:
        server.hello()
        server.call(1, "edit", path="candidate/params.json", content='{"face": 1, "act": "ok", "skill": 0.01}')
        server.read()
        server.call(2, "evaluate")
        assert "(standard error)" in server.read()["result"]["content"][0]["text"]
        server.process.stdin.close()
        assert f"`toprope unseal {run}` finishes it" in server.until("opening the sealed test")[-1]
        server.process.send_signal(how)
        assert server.process.wait(120) == (143 if how == signal.SIGTERM else -signal.SIGKILL)
    if how == signal.SIGKILL:
        cli.json("unseal", run)
    assert read(run).test.opening == 1


@pytest.mark.slow
def test_a_server_that_is_ready_listens(tmp_path):
    """A client that connects once it has read so is answered; a port that is taken is one line, and nothing is made."""
    import httpx2 as httpx

    tokens = tmp_path / "tokens"
    tokens.write_text("ada 0123456789abcdef0\n")
    tokens.chmod(0o600)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        http = ("--http", port, "--tokens", tokens)
        with Raw(TASK, "--run", tmp_path / "run", *http) as server:
            assert server.until("toprope: ")[-1].startswith(f"toprope: --http {port}: Address already in use")
            assert server.process.wait(30) == 2
    assert not (tmp_path / "run").exists()
    with Raw(TASK, "--run", tmp_path / "run", *http) as server:
        server.until("ready")
        assert httpx.post(f"http://127.0.0.1:{port}/mcp", json={}).status_code == 401
        server.process.terminate()
        assert server.process.wait(60) == 143
