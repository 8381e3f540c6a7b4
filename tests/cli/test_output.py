"""Standard output holds the answer of a command, whatever a task prints where."""

import json
import subprocess
import sys

import pytest

from toprope.tasks.new import new

PRINTS = "print('debug'); os.write(1, b'raw '); os.system('echo from a child')"
PLACES = {
    "from typing import ClassVar\n": f"import os\n{PRINTS}\nfrom typing import ClassVar\n",
    "        rng = np.random.default_rng(seed)\n": f"        {PRINTS}\n        rng = np.random.default_rng(seed)\n",
    "        belief = outputs": f"        {PRINTS}\n        belief = outputs",
    "        return (yield QUESTION)": f"        {PRINTS}\n        return (yield QUESTION)",
    "    def null(": f"    def baselines(self):\n        {PRINTS}\n        return super().baselines()\n\n    def null(",
}


@pytest.fixture
def loud(tmp_path, monkeypatch):
    """A task that prints wherever it is called: by Python, by descriptor, by a process that it starts."""
    monkeypatch.setenv("TOPROPE_TASKS", "")
    folder = tmp_path / "loud"
    new(folder, None)
    text = (folder / "task.py").read_text()
    for old, changed in PLACES.items():
        assert old in text
        text = text.replace(old, changed)
    (folder / "task.py").write_text(text)
    return folder


def said(done, code=0):
    """The one object on stdout; the task's own words are on stderr."""
    assert done.returncode == code, done.stderr
    assert "debug" in done.stderr
    assert "raw" in done.stderr
    return json.loads(done.stdout)


@pytest.mark.slow
def test_a_run_of_a_task_that_prints(loud, cli, tmp_path):
    """climb, show, export and report of a task that prints everywhere give one JSON object on stdout each."""
    run = tmp_path / "run"
    climbed = said(cli.run("climb", loud, "--experiments", 6, "--workers", 1, "--run", run, "--json"))
    assert climbed["experiments"] == 6
    assert cli.json("show", run)["experiments"] == 6
    assert cli.export(run)
    cli.json("report", run, "--task", loud)
    cli.json("ls", tmp_path)


def test_a_submission_to_a_task_that_prints(loud, cli):
    """submit gives one object, and as text no word of the task's."""
    assert said(cli.run("submit", loud, loud / "starter", "--json"))["outcome"] == "ok"
    done = cli.run("submit", loud, loud / "starter")
    assert not {"debug", "raw", "child"} & set(done.stdout.split())
    assert done.stdout.strip()


@pytest.mark.slow
def test_judging_a_task_that_prints(loud, cli):
    """check and redteam give one object, and redteam's table holds nothing of the task's."""
    checked = said(cli.run("check", loud, "--json"), code=1)  # the words of the template are not this task's
    assert [c["name"] for c in checked["checks"] if not c["ok"] and not c["advice"]] == ["its own words"]
    assert said(cli.run("redteam", loud, "--only", "constant", "--json"))["ok"]
    done = cli.run("redteam", loud, "--only", "constant")
    assert "debug" not in done.stdout
    assert "none of 1 cheats pays" in done.stdout


def test_listing_and_help_go_to_stdout(loud, cli, monkeypatch):
    """tasks, --help of the program and of a command, and --version are answers too."""
    monkeypatch.setenv("TOPROPE_TASKS", str(loud))
    assert "own/loud-v1" in [t["id"] for t in cli.json("tasks")]
    for words in (["--help"], ["climb", "--help"], ["vault", "pretrain", "--help"], ["--version"]):
        done = cli.run(*words)
        assert (done.returncode, done.stderr) == (0, "")
        assert "toprope" in done.stdout


def test_an_answer_that_nobody_reads_to_its_end(cli, loud, monkeypatch):
    """A reader that has enough ends the command without a traceback."""
    done = subprocess.run(
        f"{sys.executable} -m toprope.cli tasks | true", shell=True, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""


def test_a_full_disk_is_told(cli, loud):
    """An answer that cannot be written ends with 2 and one line."""
    with open("/dev/full", "w") as full:
        done = subprocess.run([sys.executable, "-m", "toprope.cli", "tasks"], stdout=full, stderr=-1, text=True)
    assert done.returncode == 2
    assert "no space is left" in done.stderr
