"""`toprope brief`, `toprope oracle` and `toprope vault dialect`: the public part, counted answers, a private secret."""

import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from toprope.errors import RunError, TopropeError, UsageError
from toprope.referee.client import HubClient
from toprope.referee.messages import HubConfig
from toprope.run import public_brief
from toprope.tasks import registry
from toprope.tasks.spec import load_tree
from toprope.tasks.trusted import load
from toprope_tasks.mirror import instance
from toprope_tasks.mirror.task import Mirror

pytestmark = pytest.mark.e2e

TASK = "mirror/rpn-v1"


def program() -> Mirror:
    task = registry.load(TASK)
    assert isinstance(task, Mirror)
    return task


def test_a_brief_is_a_candidate_and_its_cases(tmp_path: Path) -> None:
    """Documentation, 384 shown cases, the sketch as a working candidate of its own, and a script that counts exact
    ones."""
    told = public_brief.brief(TASK, tmp_path / "here", 0)
    assert told["hidden"] == "public demo dialect"
    files = {f.name: f.read_bytes() for f in (tmp_path / "here").iterdir() if f.is_file()}
    assert set(files) == {"README.md", "DOCS.md", "cases.jsonl", "check.py"}
    cases = [json.loads(line) for line in files["cases.jsonl"].splitlines()]
    assert len(cases) == 4 * registry.load(TASK).spec.splits.rungs[-1]
    candidate = load_tree(tmp_path / "here" / "candidate")
    assert sum(map(len, candidate.files.values())) < registry.load(TASK).spec.max_tree_bytes
    assert load(candidate).main([], b"", {}) == (b"", b"", 0)
    done = subprocess.run(
        [sys.executable, "check.py", "0"], cwd=tmp_path / "here", capture_output=True, text=True, check=True
    )
    assert done.stdout.endswith("of 384 cases to the byte\n")


def test_a_few_shown_answers_are_wrong(tmp_path: Path) -> None:
    """The reference agrees with all but four to twenty of them; nothing in the files says which."""
    public_brief.brief(TASK, tmp_path / "here", 0)
    t = program()
    wrong = 0
    for line in (tmp_path / "here" / "cases.jsonl").read_text().splitlines():
        c = json.loads(line)
        assert set(c) == {"argv", "stdin", "files", "stdout", "stderr", "exit_code"}
        files = {k.encode(): v.encode() for k, v in c["files"].items()}
        said = t.run_program([a.encode() for a in c["argv"]], c["stdin"].encode(), files)
        wrong += said.out.decode() != c["stdout"]
    assert 4 <= wrong <= 20


def test_a_brief_overwrites_nothing(tmp_path: Path) -> None:
    """A directory that holds something is refused; so is a task without a brief."""
    (tmp_path / "mine").write_text("x")
    with pytest.raises(UsageError, match="not an empty directory"):
        public_brief.brief(TASK, tmp_path, 0)
    with pytest.raises(UsageError, match="has no brief"):
        public_brief.brief("proxy/reward-model-v1", tmp_path / "new", 0)


def test_answers_are_counted_and_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each question costs one, over several sittings; a malformed one costs nothing; then they are used up."""
    monkeypatch.setattr(public_brief, "QUERIES", 3)
    ask = json.dumps({"argv": ["-k", "2"], "stdin": "1 2 +"})
    first = list(public_brief.oracle(TASK, [ask, "nonsense", "[]", '{"argv": 3}', '{"stdin": "\\u20ac"}'], tmp_path))
    assert first[0] == {"stdout": "", "stderr": "", "exit_code": 0, "queries_left": 2}
    assert [set(a) for a in first[1:]] == [{"error"}] * 4
    assert [a["queries_left"] for a in public_brief.oracle(TASK, [ask, ask], tmp_path)] == [1, 0]
    with pytest.raises(UsageError, match="has answered 3 times"):
        list(public_brief.oracle(TASK, [ask], tmp_path))


def test_a_vault_keeps_one_dialect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Made once, 0600, told by its hash; tasks of this vault speak it, and it differs from the demo and from others."""
    demo = program()
    for name in ("a", "b"):
        told = instance.make(tmp_path / name)
        assert stat.S_IMODE(Path(told["path"]).stat().st_mode) == 0o600
        with pytest.raises(RunError, match="keeps its dialect"):
            instance.make(tmp_path / name)
    monkeypatch.setenv("TOPROPE_VAULT", str(tmp_path / "a"))
    one = program()
    monkeypatch.setenv("TOPROPE_VAULT", str(tmp_path / "b"))
    two = program()
    names = {t.secret.name for t in (demo, one, two)}
    assert len(names) == 3 and sum(n.startswith("private dialect ") for n in names) == 2
    assert len({repr(t.dialect) for t in (demo, one, two)}) == 3
    assert "first page (tuned)" not in two.baselines()


def test_a_hub_uses_the_secret_of_the_vault_that_it_is_told(tmp_path: Path) -> None:
    """Whatever vault the environment names: a service has one of its own. Its scorers are told, too."""
    path = program().make_secret(tmp_path / "told", None, lambda *_: None)
    hub = HubClient(HubConfig("r", TASK, "linux-landlock", 1, str(tmp_path / "told"), "x"))
    try:
        hub.wait_ready()
        assert hub.ready.secret == registry.load(TASK, tmp_path / "told").secret
        assert hub.ready.secret.shared and not hub.ready.secret.public
    finally:
        hub.close()
    assert path.parent == tmp_path / "told"
    assert registry.load(TASK).secret.public


@pytest.mark.parametrize("data", [b"", b"short", b"x" * 33])
def test_a_damaged_dialect_is_one_clear_line(tmp_path: Path, data: bytes) -> None:
    """The wrong number of bytes: the file is named, and what makes a good one."""
    (tmp_path / instance.FILE).write_bytes(data)
    with pytest.raises(UsageError, match="toprope vault dialect"):
        instance.load(tmp_path)


def test_the_command_line(cli, tmp_path: Path) -> None:
    """oracle with arguments, with lines, and its complaints; vault dialect in JSON."""
    told = cli.json("oracle", TASK, "-k", "1", "-e", "1")
    assert told["exit_code"] == 0 and told["queries_left"] == public_brief.QUERIES - 1
    said = cli.run("oracle", TASK, "--", "-k", "1", "-e", "1")
    assert said.returncode == 0, said.stderr
    assert said.stdout.endswith(f"exit code 0; {public_brief.QUERIES - 2} questions left\n")
    assert cli.run("oracle", "proxy/reward-model-v1", "x").returncode == 2
    assert cli.run("oracle", TASK, "--lines", "x").returncode == 2
    made = cli.json("vault", "make", TASK)
    assert made["hidden"].startswith("private dialect ")
    for again in (("vault", "dialect"), ("vault", "make", "mirror/calgrid-v1")):
        assert "a vault keeps its dialect" in cli.run(*again).stderr
    assert "keeps no secret in a vault" in cli.run("vault", "make", "proxy/reward-model-v1").stderr
    assert "TOPROPE_MONITOR_LOGS=FOLDER" in cli.run("vault", "make", "control/monitor-bank-v1").stderr
    Path(made["path"]).unlink()
    assert cli.json("vault", "dialect")["hidden"].startswith("private dialect ")
    assert issubclass(UsageError, TopropeError)
