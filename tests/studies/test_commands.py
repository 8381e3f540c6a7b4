"""Every command that a page or a docstring names exists, with the options that it is given there."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from studies.__main__ import command, listed
from toprope.cli import main as toprope

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "Makefile")]
PAGES += [
    p for top in ("docs", "src", "studies") for p in (ROOT / top).rglob("*.*") if p.suffix in {".md", ".py", ".toml"}
]
COMMAND = re.compile(r"(?:@\$\(BIN\)/)?(python (?:-P )?-m|toprope) ([a-z][\w./-]*)((?: .*)?)")
STUDIES = sorted(listed())


def commands():
    """(page, "toprope" or "python -m", first word, the rest) of code spans, indented lines and comments."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        said = [" ".join(s.split()) for part in text.split("\n\n") for s in re.findall(r"`([^`]+)`", part)]
        for line in text.splitlines():
            said += [line.strip()] if line.startswith(("    ", "\t")) else []
            said += [line.partition("# ")[2]]
        for m in filter(None, map(COMMAND.match, said)):
            yield page.relative_to(ROOT).as_posix(), m[1].split()[0], m[2], re.split(" #| -- |  +", m[3])[0]


def test_every_study_that_is_named_is_listed_and_knows_its_options():
    named = [(page, rest) for page, _, first, rest in commands() if first == "studies"]
    assert len(named) > 30
    for page, rest in named:
        name, *words = rest.split() or ["NAME"]
        if name.islower():
            assert name in STUDIES, f"{page}: study {name}"
            assert options(words) <= known(command(name)), f"{page}: {name} {words}"


def test_every_other_module_that_is_named_can_be_run():
    others = {(page, first) for page, tool, first, _ in commands() if tool == "python" and first != "studies"}
    assert len(others) > 3
    for page, name in others - {(page, "pytest") for page, _ in others}:
        spec = importlib.util.find_spec(name)
        assert spec is not None and spec.origin is not None, f"{page}: {name}"
        entry = Path(spec.origin).with_name("__main__.py") if spec.submodule_search_locations else Path(spec.origin)
        assert "__main__" in entry.read_text() or entry.name == "__main__.py", f"{page}: {name}"


def test_every_command_of_toprope_that_is_named_knows_its_options():
    named = [(page, first, rest) for page, tool, first, rest in commands() if tool == "toprope"]
    assert len(named) > 100
    for page, name, rest in named:
        found = toprope.get_command(click.Context(toprope), name)  # a package may register it
        assert found is not None, f"{page}: toprope {name}"
        assert isinstance(found, click.Group) or options(rest.split()) <= known(found), f"{page}: toprope {name} {rest}"


def options(words):
    return {re.sub(r"[=,:;)\]].*", "", w.lstrip("[")) for w in words if re.match(r"\[?--?[a-z]", w)}


def known(some):
    return {"--help", *(option for p in some.params for option in p.opts)}


@pytest.mark.parametrize("name", [n for n in STUDIES if n != "monitorbank/demo"])
def test_every_study_answers_help(name, capsys):
    """With its own docstring; one needs the extra [llm] already for that."""
    with pytest.raises(SystemExit) as end:
        command(name).main(["--help"])
    assert end.value.code == 0
    assert listed()[name][:40] in capsys.readouterr().out


@pytest.mark.e2e
def test_the_list_and_what_is_unknown():
    """The list has a line for each; anything else is one line that names the thing and the remedy."""
    run = [sys.executable, "-m", "studies"]
    done = subprocess.run(run, capture_output=True, text=True, cwd=ROOT, check=True)
    assert [line.split()[0] for line in done.stdout.splitlines()[1:]] == STUDIES
    done = subprocess.run([*run, "nothing"], capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, done.stderr) == (2, "study 'nothing' is unknown; `python -m studies` lists all\n")


@pytest.mark.e2e
def test_a_mistake_of_the_user_is_one_line():
    done = subprocess.run(
        [sys.executable, "-m", "studies", "goodhart", "no/task"], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "no/task" in done.stderr
