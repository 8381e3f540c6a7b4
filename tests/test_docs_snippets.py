"""Every command and snippet of README.md and docs/ is run, in small, or named here with the reason why it is not.

A page is played in one folder, from top to bottom: what a command leaves is there for the next. REWRITES says what
"in small" means. A new command runs without a word here; one that cannot run makes its page fail until NOT_RUN names
it.
"""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml  # type: ignore[import-untyped]

ROOT = Path(__file__).parents[1]
PAGES = ["README.md", *sorted(p.relative_to(ROOT).as_posix() for p in (ROOT / "docs").rglob("*.md"))]
TOOLS = {"toprope", "python", "make", "pip", "ray", "inspect", "export", "cat", "exec", "uvx", "docker", "cd"}

# Applied in this order to a line that is run. The task that stands in for a word in capitals answers in milliseconds.
REWRITES = [
    (r"\bTASK\b", "testing/coin-v1"),
    (r"\bDIR\b", "dir"),
    (r"/tmp/coin", "coin"),
    (r"--minutes \d+", "--experiments 20"),  # of the command line
    (r'climb\("w2s/bank-v2", minutes=\d+', 'climb("testing/coin-v1", experiments=20'),  # from Python
    (r"(climb .*--experiments) \d+", r"\1 20"),
    (r"(reference .*--draws) \d+", r"\1 2"),
    (r"climb \S+( .*--unseal.*--run)", r"climb testing/coin-v1\1"),  # what follows opens, shows and verifies the run
    (r"(climb (?!testing|my)\S+ .*) --unseal", r"\1"),  # a sealed test takes longer than its climb
    (r"(redteam) (?:w2s/bank-v2|mytask/name-v1)", r"\1 testing/coin-v1"),
    (r"(redteam testing/coin-v1)$", r"\1 --only file-outside"),  # the corpus takes ten minutes
    (r"--only C6,", "--only "),
    (r"duel --rounds 2 --experiments 100", "duel --rounds 1 --experiments 32"),
    (r"^python\b", sys.executable),
]

KEY = "asks a model of a provider, which needs a key"
MODELS = "needs models or data from outside the package"
TORCH = "needs the extra [torch]"
CLUSTER = "needs a cluster"
INSTALLS = "installs packages"
CONTRACT = "tests/executors/test_cluster_page.py runs it"
STUDY = "a study, minutes to hours; tests/studies/test_commands.py checks its name and options"
WAITS = "waits for a client or for input"
LONG = "minutes here, and nothing makes it smaller"

# (page, how a line begins) -> why it is not run. Studies are never run.
NOT_RUN = {
    ("README.md", "make climb"): "toprope climb, which is run below; installs first",
    ("README.md", "make test"): "runs this test",
    ("docs/cluster.md", "toprope worker shared"): CONTRACT,
    ("docs/cluster.md", "toprope climb testing/coin-v1 --experiments 64 --executor dir"): CONTRACT,
    ("docs/cluster.md", "toprope show runs/shared"): CONTRACT,
    ("docs/cluster.md", "toprope climb testing/coin-v1 --experiments 64 --executor ray"): CONTRACT,
    ("docs/cluster.md", "toprope show runs/ray"): CONTRACT,
    ("docs/cluster.md", "exec toprope worker"): CLUSTER,
    ("docs/cluster.md", "toprope climb w2s/bank-v2 --minutes 400"): CLUSTER,
    ("docs/cluster.md", "ray start"): CLUSTER,
    ("docs/cluster.md", "pip install"): INSTALLS,
    ("docs/dashboard.md", "toprope serve"): "serves until it is stopped; tests/serve/test_command.py runs it",
    ("docs/dashboard.md", "python tools/screenshots.py"): "tests/serve/test_browser.py opens the pages with that tool",
    ("docs/first-climb.md", "pip install"): INSTALLS,
    ("docs/notebook.md", ""): "tests/api/test_notebook_page.py runs all cells of this page as one program",
    ("docs/performance.md", "toprope forecast"): LONG,
    ("docs/performance.md", "toprope bench"): LONG,
    ("docs/researchers.md", "pip install"): INSTALLS,
    ("docs/researchers.md", "export ANTHROPIC_API_KEY"): KEY,
    ("docs/researchers.md", "toprope climb w2s/bank-v2 --climber llm"): KEY,
    ("docs/researchers.md", "toprope mcp"): WAITS,
    ("docs/researchers.md", "toprope hackrate runs/a runs/b"): KEY,
    ("docs/researchers.md", "toprope tell"): "needs a climb of researchers; tests/researchers/test_team.py sends notes",
    ("docs/researchers.md", "cd w2s-inspect && inspect eval"): KEY,
    ("docs/results/does-it-transfer.md", "toprope transfer"): TORCH,
    ("docs/tasks/control.md", "toprope duel --rounds 2 --experiments 100 --seed 1 --workers 1"): "run at its top",
    ("docs/tasks/mirror.md", "toprope oracle mirror/rpn-v1 --lines"): WAITS,
    ("docs/tasks/monitor-bank.md", "toprope climb control/monitor-bank-v1 --candidate-model"): KEY,
    ("docs/tasks/monitor-bank.md", "TOPROPE_MONITOR_LOGS=FOLDER"): MODELS,
    ("docs/tasks/w2s-bank.md", "pip install"): INSTALLS,
    ("docs/tasks/w2s-bank.md", "toprope extract"): MODELS,
    ("docs/tasks/w2s-finetune.md", "pip install"): INSTALLS,
    ("docs/tasks/w2s-finetune.md", "toprope submit w2s/lora-v1"): MODELS,
    ("docs/tasks/w2s-finetune.md", "toprope transfer"): TORCH,
    ("docs/tasks/w2s-finetune.md", "toprope extract"): MODELS,
    ("docs/tasks/w2s-finetune.md", "TOPROPE_W2S_LORA"): MODELS,
    ("docs/tasks/w2s-finetune.md", "cat chat"): MODELS,
    ("docs/threat-model.md", "docker"): "needs a Docker daemon",
    ("docs/tutorial.md", "def answer"): "an excerpt; tests/toprope_tasks/w2s/test_batched_starter.py runs both forms",
    ("docs/tutorial.md", "from toprope.testing"): "tests/plugins runs such classes",
    ("docs/api.md", ""): "tests/api/test_api_page.py runs all examples of this page as one program",
}  # fmt: skip

# (page, how a block begins) -> the file that a reader saves it as.
SAVED = {
    ("README.md", "def targets"): "dir/solution.py",
    ("docs/redteam.md", '"""Reads the labels'): "dir/labels.py",
    ("docs/tasks/monitor-bank.md", "def suspicion"): "dir/solution.py",
    ("docs/writing-a-climber.md", '"""Annealing'): "hill.py",
    ("docs/writing-a-climber.md", "from hill"): "test_hill.py",
}


class Snippet(NamedTuple):
    """line: where it begins, from 1. kind: command, python, signatures, toml, json, yaml or output."""

    page: str
    line: int
    kind: str
    text: str

    @property
    def reason(self) -> str | None:
        """Why it is not run; None: it is."""
        if self.text.startswith("python -m studies"):
            return STUDY
        return next((r for (p, s), r in NOT_RUN.items() if p == self.page and self.text.startswith(s)), None)


def blocks(page: str) -> Iterator[tuple[int, str, str]]:
    """The code blocks of a page as (first line from 1, tag, text). tag: after the fence; "" without one."""
    text = (ROOT / page).read_text(encoding="utf-8")
    if page == "docs/api.md":
        text = text.partition("<!-- Below:")[0]  # signatures, written by tools/api_docs.py
    fence, begun, found, empty = "", 0, list[str](), True
    for n, line in enumerate([*text.splitlines(), ""], 1):
        if fence:
            if line.strip() == "```":
                yield begun, fence[3:].strip(), "\n".join(found)
                fence, found = "", []
            else:
                found.append(line)
        elif line.startswith("    ") and (found or empty):
            begun, found = begun if found else n, [*found, line[4:]]
        else:
            if found and line.strip():
                yield begun, "", "\n".join(found).rstrip()
            if line.strip() or not found:
                found = []
            if line.startswith("```"):
                fence, begun = line, n + 1
            elif found:
                found.append("")
        empty = not line.strip()
    if found:
        yield begun, "", "\n".join(found).rstrip()


def is_command(line: str) -> bool:
    return re.sub(r"^(\w+=\S+ )+", "", line).split(" ")[0] in TOOLS


def snippets(page: str) -> Iterator[Snippet]:
    """What a page shows, commands line by line. Raises ValueError for a block of no known kind."""
    for line, tag, text in blocks(page):
        joined = re.sub(r" *\\\n +", " ", text)
        first = joined.lstrip().splitlines()[0]
        if tag in {"sh", "bash"} or (not tag and is_command(first)):
            for command in joined.splitlines():
                bare = re.split(r"\s+# ", command)[0].strip()
                if bare and not bare.startswith("#"):
                    yield Snippet(page, line, "command", bare)
        elif tag == "python" or (not tag and re.match(r"(def|class|import|from) ", first)):
            yield Snippet(page, line, "signatures" if signatures(text) else "python", text)
        elif tag in {"toml", "json", "yaml"}:
            yield Snippet(page, line, tag, text)
        elif not tag and re.match(r"\[[\w.\"-]+\]|\w+ = [\"\[\d]", first):
            yield Snippet(page, line, "toml", text)
        elif tag in {"", "text", "diff"}:
            yield Snippet(page, line, "output", text)
        else:
            raise ValueError(f"{page}:{line}: a block of kind {tag!r}; teach tests/test_docs_snippets.py to run it")


def signatures(text: str) -> list[tuple[str, list[str]]]:
    """(name, arguments) of each line, where all are `def f(...) -> what` without a body; else []."""
    found = [re.fullmatch(r"def (\w+)\((.*?)\)(?: -> [^#]*)?(?:\s*#.*)?", s) for s in text.splitlines() if s.strip()]
    if not all(found):
        return []
    return [(m[1], re.findall(r"(\w+)(?:: \w+)?(?:=\w+)?(?:, |$)", m[2])) for m in found if m]


ALL = [s for page in PAGES for s in snippets(page)]


def small(text: str, rules: Sequence[tuple[str, str]] = REWRITES) -> str:
    """A snippet as it is run."""
    for pattern, instead in rules:
        text = re.sub(pattern, instead, text)
    return text


def test_what_is_not_run_is_still_there():
    """And pages have commands at all: a collector that finds none passes everything."""
    for page, start in NOT_RUN:
        assert any(s.page == page and s.text.startswith(start) for s in ALL), f"{page} has no {start!r}: take it out"
    for page, start in SAVED:
        assert any(s.page == page and s.text.startswith(start) for s in ALL), f"{page} has no {start!r}"
    assert sum(s.kind == "command" and s.reason is None for s in ALL) > 40


def test_signatures_are_those_of_the_starters():
    """A page may show the head of a function: some starter has a function of that name that takes these arguments."""
    known = [
        (node.name, {a.arg for a in (*node.args.args, *node.args.kwonlyargs)})
        for path in (ROOT / "src").rglob("starter/*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef)
    ]
    shown = [(s, *head) for s in ALL if s.kind == "signatures" for head in signatures(s.text)]
    assert len(shown) > 5
    for s, name, arguments in shown:
        assert any(n == name and {*arguments, "params", "rng"} >= a for n, a in known), (
            f"{s.page}:{s.line}: {name}({arguments})"
        )


@pytest.mark.parametrize(
    "s", [s for s in ALL if s.kind in {"toml", "json", "yaml", "python"}], ids=lambda s: f"{s[0]}:{s[1]}"
)
def test_data_and_code_can_be_read(s):
    {"toml": tomllib.loads, "json": json.loads, "yaml": yaml.safe_load, "python": ast.parse}[s.kind](s.text)


def test_small_forms():
    """The words in capitals get a task, minutes become experiments, and only the smallest tasks open their test. Each
    rule has a page that needs it."""
    for at, (pattern, _) in enumerate(REWRITES):
        assert any(re.search(pattern, small(s.text, REWRITES[:at])) for s in ALL if s.reason is None), pattern
    assert small("toprope climb TASK --minutes 3 --unseal") == "toprope climb testing/coin-v1 --experiments 20 --unseal"
    assert small("toprope climb proxy/x-v1 --minutes 2 --unseal") == "toprope climb proxy/x-v1 --experiments 20"


def saved(s: Snippet) -> str | None:
    """The file that a snippet is, if the page's reader saves it."""
    return next((place for (page, start), place in SAVED.items() if page == s.page and s.text.startswith(start)), None)


def played(page: str) -> list[Snippet]:
    """What is run of a page, in its order."""
    code = [s for s in ALL if s.page == page and s.kind in {"command", "python"}]
    return [s for s in code if s.reason is None and saved(s) is None]


def prepare(page: str, folder: Path) -> None:
    """What a page takes for granted: files that its reader has saved, and a candidate of the reader's own in `dir`."""
    if page == "docs/tasks/w2s.md":
        shutil.copytree(ROOT / "src" / "toprope_tasks" / "w2s" / "starter", folder / "dir")
    for s in ALL:
        if (place := saved(s)) and s.page == page:
            (folder / place).parent.mkdir(exist_ok=True)
            (folder / place).write_text(s.text, encoding="utf-8")


@pytest.mark.e2e
@pytest.mark.slow
@pytest.mark.parametrize("page", [p for p in PAGES if played(p)])
def test_page(page, tmp_path, monkeypatch):
    """All that the page shows runs, in its order. Every end but 0 is an error."""
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    prepare(page, tmp_path)
    for s in played(page):
        run = ["bash", "-ec", small(s.text)] if s.kind == "command" else [sys.executable, "-c", small(s.text)]
        done = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True, timeout=1200, stdin=subprocess.DEVNULL)
        assert done.returncode == 0, f"{page}:{s.line}: {run[-1]}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
