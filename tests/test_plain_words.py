"""The lint of the project's prose: what it finds, and what it leaves alone."""

from pathlib import Path

import pytest

from tools.plain_words import WIDTH, judge, main

NONE, EVER = "is " + "none", "Who" + "ever"  # put together here, since the lint reads this file, too


def found(folder: Path, name: str, text: str) -> list[int]:
    (folder / name).write_text(text)
    return [line for line, _ in judge(folder / name)]


CLAUSES = ["W" + "ho pays is the loop that all share.", "W" + "hat a trap saw is not told by its answer."]
PHRASES = [NONE, NONE.replace(" ", "\n"), NONE[:-2] + " record", EVER + " asks", "are" + NONE[2:]]


@pytest.mark.parametrize("phrase", PHRASES)
def test_phrases_are_found_in_prose_comments_and_strings(tmp_path, phrase):
    """Also over a line's end, where the line is told on which the phrase begins."""
    assert found(tmp_path, "a.md", f"First.\nA record that {phrase}.\n") == [2]
    assert found(tmp_path, "a.py", f'"""First.\n\nA record that {phrase}.\n"""\n') == [3]
    assert found(tmp_path, "a.py", f"x = 1  # First.\n# A record that {phrase}.\n".replace("\nnone", "\n# none")) == [2]


@pytest.mark.parametrize("sentence", CLAUSES)
def test_sentences_whose_subject_is_a_riddle_are_found(tmp_path, sentence):
    """A clause that begins with one of these words stands where the subject should."""
    assert found(tmp_path, "a.md", f"First. {sentence}\n") == [1]
    assert found(tmp_path, "a.py", f'"""First.\n\n{sentence}\n"""\n') == [3]


@pytest.mark.parametrize("text", ["Who pays?", "## Who uses it", "What a score means", "It says what a draw is."])
def test_questions_and_headings_are_left_alone(tmp_path, text):
    assert not found(tmp_path, "a.md", f"{text}\n")


@pytest.mark.parametrize("text", ["x is None", "a is no longer b", "a is no better than b", "it is not a page"])
def test_plain_english_and_code_are_left_alone(tmp_path, text):
    assert not found(tmp_path, "a.md", text)
    assert not found(tmp_path, "a.py", f'"""{text}"""\nx = {NONE.split()[0]!r}, "none"  # {text}\n')


def test_long_lines_of_prose_are_found(tmp_path):
    """Tables and code blocks, fenced or indented, cannot be broken."""
    long = "word " * WIDTH
    assert found(tmp_path, "a.md", f"{long}\n\n- item\n    {long}\n") == [1, 4]
    assert not found(tmp_path, "a.md", f"| {long} |\n\n    {long}\n\n    {long}\n\n```\n{long}\n```\n")


def test_the_exit_status_says_whether_there_is_a_finding(tmp_path, capsys):
    (tmp_path / "a.md").write_text(f"It {NONE}.\n")
    assert main([str(tmp_path)]) == 1
    assert capsys.readouterr().out == f"{tmp_path}/a.md:1: 'is {'none'}': name what is missing or wrong\n"
    (tmp_path / "a.md").write_text("It is a page.\n")
    assert main([str(tmp_path)]) == 0
    with pytest.raises(FileNotFoundError):
        main([str(tmp_path / "b.md")])
