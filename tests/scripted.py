"""An OpenAI-compatible server on loopback whose replies are scripts: real provider code, no model, no network.

A script is a list of steps for a researcher, found by its name in the system prompt; the step is chosen by how many
replies the conversation holds already. A step is a (tool, arguments) pair, a text, an HTTP status, bytes (a page with
status 200), a dict (an error with status 400), or a function of the messages that returns one of these. A status or a
page is sent once for each place in a script, an error every time.
"""

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Server:
    def __init__(self, scripts, down=0, counts=True):
        """down: requests that are answered 503 before it is up. counts: it says what its replies cost."""
        self.counts = counts
        self.scripts, self.requests, self.failed, self.down = scripts, [], {}, down
        self.tokens = 0  # that its replies cost
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
                status, body = outer.reply(asked)
                page = isinstance(body, bytes)
                data = body if page else json.dumps(body).encode()
                self.send_response(status)
                self.send_header("content-type", "text/html" if page else "application/json")
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.http.server_port}/v1"

    def close(self):
        self.http.shutdown()
        self.http.server_close()

    def reply(self, asked):
        self.requests.append(asked)
        if len(self.requests) <= self.down:
            return 503, {"error": {"message": "overloaded", "type": "scripted"}}
        system = next(text(m) for m in asked["messages"] if m["role"] in ("system", "developer"))
        named = re.search(r"You are ([\w-]+),", system)
        name = named.group(1) if named else "alone"
        at = sum(m["role"] == "assistant" for m in asked["messages"])
        script = self.scripts[name]
        step = script[at] if at < len(script) else ("finish", {"answer": "done"})
        if callable(step):
            step = step(asked["messages"])
        if isinstance(step, dict):
            return 400, {"error": step}
        if isinstance(step, int | bytes):
            if self.failed.setdefault((name, at), 0) < 1:
                self.failed[name, at] += 1
                fault = {"error": {"message": "scripted", "type": "scripted"}}
                return (200, step) if isinstance(step, bytes) else (step, fault)
            step = "after an error"
        message: dict[str, object] = {"role": "assistant", "content": step if isinstance(step, str) else None}
        if not isinstance(step, str):
            tool, arguments = step
            arguments = arguments if isinstance(arguments, str) else json.dumps(arguments)
            call = {"id": f"call-{name}-{at}", "type": "function", "function": {"name": tool, "arguments": arguments}}
            message["tool_calls"] = [call]
        choice = {"index": 0, "message": message, "finish_reason": "stop" if isinstance(step, str) else "tool_calls"}
        usage = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}
        self.tokens += usage["total_tokens"]
        return 200, {"id": "x", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice],
                     **({"usage": usage} if self.counts else {})}  # fmt: skip


def text(message):
    content = message["content"]
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


def answers(messages):
    """What the tools answered so far, in order."""
    return [text(m) for m in messages if m["role"] == "tool"]
