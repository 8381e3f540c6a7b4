"""The two ends of an MCP server's stdio: what is no message gets an answer too, and nothing else is written there.

The SDK drops a line it cannot read without a word, and its client waits for ever. Half a surrogate pair, which JSON can
spell and no text can hold, is such a line.
"""

from __future__ import annotations

import json
import os
import re
from typing import Any

from toprope import output

LONGEST = 16 << 20  # bytes of a line
HALF = re.compile(rb"\\u[dD][89a-fA-F]")  # of a pair, perhaps with its other half


class Wires:
    """Stdin and stdout of this process, taken away from everybody else in it: whatever prints, prints to stderr, here
    and in the processes that are started from now on. The SDK reads lines from it and writes lines to it."""

    def __init__(self) -> None:
        self._in, self._out = os.fdopen(os.dup(0), "rb"), output.take()
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)

    def __aiter__(self) -> Wires:
        return self

    async def __anext__(self) -> str:
        """The next line that is a message. Those that are not are answered here."""
        import anyio

        while True:
            line = await anyio.to_thread.run_sync(self._line, abandon_on_cancel=True)
            if not line:
                raise StopAsyncIteration
            if line.isspace():
                continue
            if (answer := fault(line)) is None:
                return line.decode("utf-8", "replace")
            await self.write(answer + "\n")
            await self.flush()

    def _line(self) -> bytes:
        line = self._in.readline(LONGEST)
        if len(line) == LONGEST and not line.endswith(b"\n"):
            while (rest := self._in.readline(LONGEST)) and not rest.endswith(b"\n"):
                pass
            return b"[too long]\n"
        return line

    async def write(self, text: str) -> None:
        import anyio

        await anyio.to_thread.run_sync(self._out.write, text.encode("utf-8", "replace"))

    async def flush(self) -> None:
        import anyio

        await anyio.to_thread.run_sync(self._out.flush)


def fault(line: bytes) -> str | None:
    """The JSON-RPC error that answers a line which is no message; None for one that is."""
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        return _error(None, -32700, f"this line is no JSON, or longer than {LONGEST >> 20} MiB")
    if not isinstance(message, dict):
        return _error(None, -32600, "a message is a JSON object")
    if HALF.search(line):
        try:
            json.dumps(message, ensure_ascii=False).encode()
        except (UnicodeEncodeError, RecursionError):
            return _error(message.get("id"), -32602, "it holds half a surrogate pair, which is no text; leave it out")
    return None


def _error(to: Any, code: int, why: str) -> str:
    answered = to if isinstance(to, str | int) else None
    return json.dumps({"jsonrpc": "2.0", "id": answered, "error": {"code": code, "message": why}})
