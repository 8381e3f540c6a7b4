"""What a report shows of authors' own code: any text an author wrote, in bounded time."""

import difflib

import histories
import msgspec
import numpy as np

from toprope.journal.records import AttemptRecord, Author
from toprope.run import ideas
from toprope.types import Candidate, Tree
from toprope.view import report, team


def told(*sources):
    """A story of one author's experiments with these sources, the last of which became champion."""
    made = [Candidate(Tree({"solution.py": s}), {}) for s in sources]
    scores = np.full((1, 2), 0.5, np.float32)
    blocks = [
        msgspec.structs.replace(
            histories.block(), id=f"{i}.0.2", experiments=np.array([i], np.uint32), author=Author("ada", c),
            outcomes={}, messages={}, scores=scores,
        )
        for i, c in enumerate(made)
    ]  # fmt: skip
    s = histories.history(tested=False)
    answers = [msgspec.structs.replace(s.answers[0], candidate=made[-1].id)]
    return msgspec.structs.replace(s, blocks=blocks, asked=[AttemptRecord(made[-1], 1, 0.4, True)], answers=answers)


def test_a_number_that_cannot_be_printed_does_not_stop_the_report():
    """Nor does any other text: a practice experiment cannot keep a run's page from being written."""
    page = report.render(told(b"x = 0x" + b"f" * 60_000, b"(" * 60_000, b"\0\xff", b"f'{1}{1}'" * 7000))
    assert "idea families" in page


def test_each_candidate_is_read_once(monkeypatch):
    """However often it was scored."""
    read, real = [], ideas.idea
    monkeypatch.setattr(ideas, "idea", lambda c: read.append(c.id) or real(c))
    report.render(told(b"a = 1", b"b = 2", b"a = 1"))
    assert len(read) == len(set(read)) == 2


def test_a_difference_compares_a_bounded_number_of_lines(monkeypatch):
    """What is left out is said; the comparison itself never sees it."""
    sizes, real = [], difflib.unified_diff
    monkeypatch.setattr(difflib, "unified_diff", lambda a, b, *n, **o: sizes.append(len(b)) or real(a, b, *n, **o))
    s = told(b"".join(b"%d\n" % (i % 90) for i in range(20_000)))
    assert team.difference(s).count("\n") <= team.LINES
    assert sizes == [team.COMPARED + 1]
    many = {f"{i}.py": b"x\n" * 300 for i in range(20)}
    champion = Candidate(Tree(many), {})
    answers = [msgspec.structs.replace(s.answers[0], candidate=champion.id)]
    s = msgspec.structs.replace(s, asked=[AttemptRecord(champion, 1, 0.4, True)], answers=answers)
    sizes.clear()
    team.difference(s)
    assert len(sizes) == 4
    assert "x" * 500 not in team.difference(told(b"x" * 65_536))
