"""Any words on the command line: it ends with its exit code and one line on stderr, and leaves nothing behind."""

import os

import pytest
from click.testing import CliRunner
from fuzzing import both_forms, fuzz
from hypothesis import strategies as st

from toprope.cli import main

NUMBERS = st.one_of(
    st.integers(-(2**70), 2**70).map(str),
    st.floats().map(str),
    st.just("1" * 5000),
    st.sampled_from(["0", "-0", "1e9999", "0x10", "1_000", "١", "NaN", " 1", "", "--", "+1", "1e-400"]),
)
WORDS = st.one_of(
    st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"]), max_size=12),
    st.binary(min_size=1, max_size=6).filter(lambda b: b"\0" not in b).map(os.fsdecode),
    st.sampled_from(
        [
            "\n",
            "a\nb",
            "\x1b[31m",
            "x" * 5000,
            "~null",
            "testing/coin-v1",
            "testing/coin-v1~null~null",
            "../../etc",
            "/dev/null",
            "/dev/null/x",
            ".",
            "replay:",
            "replay:/dev/zero",
            "evolution:x",
            ":",
        ]
    ),
)
NOWHERE = "/dev/null/run"  # what cannot be made: no climb begins, whatever the other options say
VALUES = {
    "--experiments": NUMBERS,
    "--minutes": NUMBERS,
    "--seed": NUMBERS,
    "--workers": NUMBERS,
    "--climber": WORDS,
    "--rehearsal-secret": WORDS,
    "--executor": WORDS,
}


def options(*names):
    one = st.sampled_from(names).flatmap(lambda n: st.tuples(st.just(n), VALUES[n] | WORDS))
    return st.lists(one, max_size=4).map(lambda some: [word for pair in some for word in pair])


TASK = st.just("testing/coin-v1") | WORDS
LINES = st.one_of(
    st.builds(lambda t, o: ["climb", t, *o, "--run", NOWHERE, "--i-trust-the-candidates"], TASK, options(*VALUES)),
    st.builds(lambda t, d, o: ["submit", t, d, *o], TASK, WORDS.map(lambda w: "/dev/null/" + w), options("--seed")),
    st.builds(
        lambda c, d, o: [c, "/dev/null/" + d, *o], st.sampled_from(["resume", "unseal"]), WORDS, options("--workers")
    ),
    st.builds(lambda c, d, o: [c, "/dev/null/" + d, "-o", o], st.sampled_from(["report", "export"]), WORDS, WORDS),
    st.builds(lambda t, p, o: ["check", "no/" + t, "--probes", p, *o], WORDS, WORDS, options("--workers")),
    st.builds(lambda words: ["?", *words], st.lists(WORDS, max_size=3)),
)


@both_forms
def test_any_words(form, tmp_path, monkeypatch):
    """Random values for numbers, names and paths of every command: exit 2, one printable line, no output, no file."""
    monkeypatch.chdir(tmp_path)

    def check(words):
        done = CliRunner().invoke(main, words)
        if {"-h", "--help"} & set(words):
            return
        assert isinstance(done.exception, SystemExit), (words, done.exception)
        assert done.exit_code == 2, (words, done.stderr)
        assert done.stdout == ""
        (line,) = done.stderr.splitlines()
        assert line.startswith("toprope: ")
        assert len(line) <= 2000
        assert line.isprintable()
        assert not list(tmp_path.iterdir())

    fuzz("options", form, LINES, check)


@pytest.mark.parametrize(
    "name", [b"caf\xe9", *(pytest.param(n, marks=pytest.mark.slow) for n in (b"a\nb", b"a?mode=memory#x%20"))]
)
def test_any_name_of_a_run(cli, tmp_path, name):
    """A run directory may be called anything: it is climbed, told and reported."""
    run = os.path.join(os.fsencode(tmp_path), name)
    climbed = cli.run(
        "climb", "testing/coin-v1", "--experiments", 2, "--workers", 1, "--run", os.fsdecode(run), "--report"
    )
    assert climbed.returncode == 0, climbed.stderr
    assert os.path.exists(os.path.join(run, b"report.html"))
    exported = cli.run("export", os.fsdecode(run))
    assert exported.returncode == 0, exported.stderr


def test_a_rehearsal_secret_that_is_no_text(cli, tmp_path):
    """Bytes that are no UTF-8 are refused before a run is made of them."""
    done = cli.run(
        "climb",
        "testing/coin-v1",
        "--experiments",
        2,
        "--run",
        tmp_path / "run",
        "--rehearsal-secret",
        os.fsdecode(b"\xff"),
    )
    assert done.returncode == 2
    assert "--rehearsal-secret" in done.stderr
    assert not (tmp_path / "run").exists()
