"""Stdin and stdout of an MCP server: malformed lines get an answer too, and nothing else is written to stdout.

The SDK silently drops a line that it cannot read, and its client waits for ever. One example is a line with a lone
surrogate, which JSON can express and text cannot hold.
"""

from __future__ import annotations

import json
import os
import re
from typing import Any

from toprope import output

LONGEST = 16 << 20  # bytes of a line
HALF = re.compile(rb"\\u[dD][89a-fA-F]")  # a surrogate, alone or in a pair


class Wires:
    """Takes stdin and stdout of this process for the SDK, which reads lines from this object and writes lines to it.
    Other code in this process, and processes started later, print to stderr."""

    def __init__(self) -> None:
        self._in, self._out = os.fdopen(os.dup(0), "rb"), output.take()
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)

    def __aiter__(self) -> Wires:
        return self

    async def __anext__(self) -> str:
        """The next line that is a valid message. Malformed lines are answered here."""
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
    """The JSON-RPC error that answers a malformed line; None for a valid message."""
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        return _error(None, -32700, f"this line is not JSON, or longer than {LONGEST >> 20} MiB")
    if not isinstance(message, dict):
        return _error(None, -32600, "a message is a JSON object")
    if HALF.search(line):
        try:
            json.dumps(message, ensure_ascii=False).encode()
        except (UnicodeEncodeError, RecursionError):
            return _error(message.get("id"), -32602, "it holds half a surrogate pair, which is not text; leave it out")
    return None


def _error(to: Any, code: int, why: str) -> str:
    answered = to if isinstance(to, str | int) else None
    return json.dumps({"jsonrpc": "2.0", "id": answered, "error": {"code": code, "message": why}})
