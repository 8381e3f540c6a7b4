"""The local server of the researchers' tests, answering as the tasks' own scripts would."""

import threading

import pytest
from scripted import Server, text

from toprope.tasks import registry


class Oracle:
    """An OpenAI-compatible server on loopback. down: answer with this HTTP status instead, and repeat `key` in the
    complaint; picky: only to a question that holds this. slow_s: before an answer. moody: a question asked again is
    answered otherwise, as models do."""

    def __init__(self):
        self.down, self.slow_s, self.asked, self.at_once, self._now = 0, 0.0, [], 0, 0
        self.picky, self.moody, self.key = "", False, "sk-scripted-key"
        lock = threading.Lock()
        asking, bank = registry.load("testing/asking-v1"), registry.load("control/monitor-bank-v1")

        class Model(Server):
            def reply(inner, request):  # noqa: N805
                with lock:
                    self._now += 1
                    self.at_once = max(self.at_once, self._now)
                if self.slow_s:
                    threading.Event().wait(self.slow_s)
                with lock:
                    self._now -= 1
                messages = [(m["role"], text(m)) for m in request["messages"]]
                if self.down and self.picky in messages[-1][1]:
                    return self.down, {"error": {"message": f"scripted outage {self.key}", "type": "scripted"}}
                again = self.asked.count(messages) if self.moody else 0
                self.asked.append(messages)
                task = asking if "effort" in messages[-1][1] else bank
                said = {"role": "assistant", "content": task.scripted(messages, 0) + (str(again) if again else "")}
                usage = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}
                choice = {"index": 0, "message": said, "finish_reason": "stop"}
                return 200, {"id": "x", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice],
                             "usage": usage}  # fmt: skip

        self.server = Model({})

    def close(self):
        self.server.close()


@pytest.fixture
def oracle(monkeypatch):
    """A model that can be reached: `openai-api/local/m`."""
    server = Oracle()
    monkeypatch.setenv("LOCAL_API_KEY", server.key)
    monkeypatch.setenv("LOCAL_BASE_URL", server.server.url)
    yield server
    server.close()
