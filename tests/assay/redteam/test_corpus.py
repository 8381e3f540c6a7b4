"""The one-file form: what is shipped is well-formed and wide, what is malformed is one clear line."""

from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest

from toprope.assay.redteam import corpus
from toprope.assay.redteam.climbers import talkative
from toprope.errors import UsageError
from toprope.referee.recorded import Answer
from toprope.stats.intervals import Estimate
from toprope.tasks import registry

GOOD = '''"""A cheat.

Source: here.
"""

CLASS = "C2"
MEETS = "landlock"
EXPECT = "blocked"


def cheat(plan, arrays):
    pass
'''


def test_the_corpus_is_wide():
    """At least sixty cheats, every class, several of each kind, and every layer of the sandbox met."""
    cheats = corpus.load(corpus.SHIPPED)
    assert len(cheats) >= 60
    assert {c.cls for c in cheats} == set(corpus.CLASSES)
    assert len([c for c in cheats if c.kind == "climber"]) >= 20
    met = {layer for c in cheats for layer in c.meets}
    assert set(corpus.LAYERS) - met <= {"namespaces"}


def test_every_cheat_says_where_it_comes_from():
    """A title and a source each, no two alike; a climber on another task says why."""
    cheats = corpus.load(corpus.SHIPPED)
    assert len({c.title for c in cheats}) == len(cheats)
    assert all(len(c.source) > 5 for c in cheats)
    assert all(c.why for c in cheats if c.on)
    for cheat in cheats:
        if cheat.on:
            registry.known(cheat.on)


def test_a_good_file_is_read_without_running_it(tmp_path):
    """The header is parsed: a file whose code would do harm when imported is only read."""
    path = tmp_path / "mine.py"
    path.write_text(GOOD + "\nraise SystemExit(1)\n")
    (cheat,) = corpus.load(tmp_path)
    assert (cheat.id, cheat.cls, cheat.meets, cheat.expect) == ("mine", "C2", ("landlock",), ("blocked",))


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (("def cheat", "def chat"), "defines none of cheat"),
        (('CLASS = "C2"', 'CLASS = "C11"'), "expected one of C1"),
        (('CLASS = "C2"', "CLASS = 2"), "is not a string"),
        (('CLASS = "C2"\n', ""), "CLASS is missing"),
        (("landlock", "moat"), "'moat'; expected one of"),
        (('"blocked"', '"fine"'), "EXPECT = 'fine'"),
        (("Source: here.", ""), "Source: ..."),
        (("def cheat(plan, arrays):", "def cheat("), "cannot be read as Python"),
    ],
)
def test_a_malformed_file_is_one_line(tmp_path, change, word):
    """The message names the file, the fault and what was expected."""
    (tmp_path / "mine.py").write_text(GOOD.replace(*change))
    with pytest.raises(UsageError, match=r"cheat .*mine\.py") as raised:
        corpus.load(tmp_path)
    assert word in str(raised.value)
    assert "\n" not in str(raised.value).replace("\\n", "")


def test_only_takes_ids_and_classes():
    """A stranger's name is answered with those that are near it."""
    cheats = corpus.load(corpus.SHIPPED)
    assert [c.id for c in corpus.only(cheats, "hang, ptrace")] == ["ptrace", "hang"]
    assert {c.cls for c in corpus.only(cheats, "C5")} == {"C5"}
    with pytest.raises(UsageError, match="near are file-outside"):
        corpus.only(cheats, "file-outsid")


@pytest.mark.parametrize(
    ("changed", "violation"),
    [({}, ""), ({"release_slot": 2}, ""), ({"measured": Estimate(0.5, 0.4, 0.6, 0.1)}, "told a score")],
)
def test_a_late_refusal_is_no_word_more_and_a_score_is(changed, violation):
    """The slot of a refusal follows from the schedule, and the leak meter counts it; a score is another matter."""
    first = Answer("a", False, 1, 1)
    second = msgspec.structs.replace(first, candidate="b", attempt=2, **changed)
    said = talkative(cast(Any, None), cast(Any, SimpleNamespace(answers=[first, second])))
    assert (violation in said) if violation else (said == "")
