"""What a notebook shows of results: short, escaped, and without anything that the notebook would have to run."""

import base64
import re
import xml.etree.ElementTree as ET

import histories
import msgspec
import pytest

from toprope.assay.fit.check import Admission
from toprope.assay.fit.row import Check
from toprope.assay.verify import ReplayCheck, Verification
from toprope.figures import Figure
from toprope.journal import drawing
from toprope.run.submit import DevScore, Submission, SubmissionCost
from toprope.types import Incident, Outcome

EVIL = histories.EVIL
STORY = histories.history()
SUBMITTED = Submission(
    candidate=EVIL, task=EVIL, outcome=Outcome.OK, message=EVIL, dev=DevScore(0.5, 0.1, 12),
    incidents=[Incident(EVIL, "advisory", EVIL)], verdict="clean", protection={"tier": EVIL},
    cost=SubmissionCost(1.0, 1.0),
)  # fmt: skip
VERIFIED = Verification(
    EVIL, {}, False, True, None, None, None, None, None, None, None,
    [ReplayCheck("chain", True, EVIL), ReplayCheck(EVIL, False, EVIL), ReplayCheck("test", None, EVIL)],
)  # fmt: skip
ADMITTED = Admission(EVIL, True, [Check("gap", True, 0.5, 0.1, EVIL), Check(EVIL, False, 1.0, 2.0, EVIL, True)], [])
RESULTS = [STORY, SUBMITTED, VERIFIED, ADMITTED]


@pytest.mark.parametrize("result", RESULTS, ids=lambda r: type(r).__name__)
def test_html_of_results_is_escaped_and_whole(result):
    """Every text of a ledger or a candidate is text; the parts are closed; no script, no outside address."""
    html = result._repr_html_()
    assert "&lt;script&gt;" in html
    tags = set(re.findall(r"<(\w+)", html))
    assert tags <= {"div", "b", "table", "tr", "td", "th", "img"}
    assert "http" not in re.sub(r'src="data:[^"]*"', "", html)
    ET.fromstring(re.sub(r"<img[^>]*>", "", html).replace("\x1b", "").replace("\x07", ""))


def test_what_results_say():
    """The figures that a reader looks for first."""
    html = STORY._repr_html_()
    for words in ("0.300 [0.200, 0.400]", "1 of 1 attempts promoted", "0.400 [0.300, 0.500]", "1 crash"):
        assert words in html
    assert "0.500 ± 0.100 (standard error) over 12 draws" in SUBMITTED._repr_html_()
    assert "this run is not what it says" in VERIFIED._repr_html_()
    assert "nothing differs" in msgspec.structs.replace(VERIFIED, ok=True, checks=[])._repr_html_()
    assert "DIFFERS" in VERIFIED._repr_html_()
    assert "admitted" in ADMITTED._repr_html_()
    assert "advice" in ADMITTED._repr_html_()
    assert "not opened" in histories.history(promoted=False, tested=False)._repr_html_()


def test_a_history_prints_as_two_lines():
    """In place of its records, with control characters spelled out."""
    line = repr(STORY)
    assert line.replace("\n", "", 1).isprintable()
    assert len(line) < 500
    assert "testing/coin-v1, 2 experiments, 1 of 1 attempts promoted" in line
    assert "sealed test not opened" in repr(histories.history(promoted=False, tested=False))


@pytest.mark.parametrize("story", [STORY, histories.history(promoted=False, best=(), tested=False)])
def test_a_plot_is_a_whole_svg(story, tmp_path):
    """By itself, as a file, and as an image inside HTML; also of a run that has not begun."""
    figure = story.plot()
    root = ET.fromstring(figure.svg)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert {e.tag.rpartition("}")[2] for e in root.iter()} <= {
        "svg",
        "style",
        "g",
        "line",
        "path",
        "circle",
        "text",
        "title",
    }
    figure.save(tmp_path / "climb.svg")
    assert (tmp_path / "climb.svg").read_text() == figure.svg == figure._repr_svg_()
    inside = re.search(r'src="data:image/svg\+xml;base64,([^"]+)"', figure._repr_html_())
    assert inside is not None
    assert base64.b64decode(inside[1]).decode() == figure.svg
    assert repr(figure).startswith("<Figure of ")
    assert "var(--page)" in figure.svg


def test_the_axis_has_the_metrics_name():
    """Read from the task's card; a task that is not known here has none."""
    assert drawing.metric("w2s/bank-v1") in plot_of("w2s/bank-v1").svg
    assert drawing.metric("gone/task-v1") == "value"


def plot_of(task: str) -> Figure:
    spec = msgspec.structs.replace(STORY.opening.spec, task=task)
    return msgspec.structs.replace(STORY, opening=msgspec.structs.replace(STORY.opening, spec=spec)).plot()
