"""The must-show form: three scripted researchers on weak-to-strong, a kill in the middle, one promotion, a report."""

import json
import re
import threading
import time

import pytest
import scripted

from toprope.journal.reading import read
from toprope.tasks import registry

TASK = "w2s/probe-v1"
pytestmark = pytest.mark.slow

EVALUATE: tuple[str, dict[str, object]] = ("evaluate", {})


def newest(messages):
    return re.findall(r"candidate ([0-9a-f]{12}): dev", "\n".join(scripted.answers(messages)))[-1]


def point(name):
    task = registry.load(TASK)
    params = {**task.space.decode(task.space.default()), **task.baselines()[name].params}
    return ("edit", {"path": "candidate/params.json", "content": json.dumps(params)})


def tried(*names):
    return [step for name in names for step in (point(name), EVALUATE)]


def test_three_researchers_on_weak_to_strong(cli, tmp_path, monkeypatch):
    """Killed in the middle and resumed: findings are exchanged, one candidate is promoted, budgets hold, the report
    says how ideas spread and what it cost."""
    names = [n for n, b in registry.load(TASK).baselines().items() if b.tree == registry.load(TASK).starter()]
    tuned = next(n for n in names if n == "label propagation + match (tuned)")
    halfway = threading.Event()

    def waiting(messages):
        time.sleep(0.5)
        return ("leaderboard", {})

    def shared(messages):
        halfway.set()
        return waiting(messages)

    share = ("share_finding", {"kind": "insight", "text": "margins help where labels are weak"})
    first = {
        "ada": [*tried(*names[:6]), share, ("notebook", {"text": "tried six published methods"}), *[shared] * 60],
        "blaise": [*tried(*names[6:9]), *[waiting] * 60],
        "carl": [("run", {"command": "ls dev; cat starter/solution.py | head"}), *[waiting] * 60],
    }
    server = scripted.Server(first)
    monkeypatch.setenv("LOCAL_API_KEY", "none")
    monkeypatch.setenv("LOCAL_BASE_URL", server.url)
    run = tmp_path / "run"
    llm = ("--climber", "llm", "--model", "openai-api/local/scripted", "--researchers", 3, "--tokens", 50_000)
    process = cli.start("climb", TASK, *llm, "--experiments", 40, "--run", run)
    assert halfway.wait(400)
    process.kill()
    process.communicate()
    before = read(run)
    server.scripts = {
        "ada": [
            *tried(tuned),
            lambda m: ("attempt", {"candidate": newest(m)}),
            lambda m: ("share_finding", {"kind": "result", "text": "propagation wins", "candidate": newest(m)}),
        ],
        "blaise": [("read_findings", {}), ("run", {"command": "cat findings/*"})],
        "carl": [("run", {"command": "sleep 20"}), ("read_findings", {}), ("evaluate", {"folder": "starter"})],
    }
    told = cli.run("resume", run, "--unseal", "--report", "--json", timeout=1500)  # the gate's tick may be minutes
    assert told.returncode == 0, told.stderr
    done = json.loads(told.stdout)
    server.close()
    history = read(run)
    assert done["promotions"] == 1
    assert done["test"]["lo"] > done["baselines"]["vanilla"]
    assert history.experiments == before.experiments + 1
    assert len(history.findings) == 2
    assert max(sum(s.tokens for s in history.spent if s.author == a) for a in ("ada", "blaise", "carl")) <= 50_000
    page = (run / "report.html").read_text()
    assert "families of ideas" in page
    assert "tokens" in page
    assert "margins help where labels are weak" in page
    notes = [p.name for p in (run / "researchers" / "carl" / "room" / "findings").iterdir()]
    assert len(notes) == 2
