"""The report: one page, no script, nothing from outside, and hostile text stays text."""

import itertools
import math
import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

import pytest
from histories import EVIL, history, opening

from toprope import figures
from toprope.journal.page import claimed
from toprope.view.report import render

VOID = {"meta", "br", "img", "input", "hr", "link"}


class Page(HTMLParser):
    """Collects tags and attributes as a browser would see them, and checks that they close."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data):
        self.text += data


STORIES = {
    "promoted": history(),
    "sealed": history(tested=False),
    "never promoted": history(promoted=False),
    "one experiment": history(best=(0.1,), promoted=False, tested=False),
    "nothing ran": history(best=(), promoted=False, tested=False),
    "nothing worked": history(best=(None, None), promoted=False),
    "negative": history(best=(-3.0, -2.5)),
}


@pytest.mark.parametrize("name", STORIES)
def test_nothing_runs_and_nothing_is_fetched(name):
    """No script but a block of data, no handler, no reference to anywhere, and a policy that would refuse them."""
    html = render(STORIES[name])
    page = Page(html)
    names = {tag for tag, _ in page.tags}
    assert [a for t, a in page.tags if t == "script"] == [{"type": "application/json", "id": "toprope"}]
    assert not names & {"img", "link", "iframe", "object", "embed", "form", "base", "foreignobject"}
    for tag, attributes in page.tags:
        for key, value in attributes.items():
            assert not key.startswith("on"), (tag, key)
            assert key not in ("src", "href", "xlink:href", "style", "action"), (tag, key, value)
    assert "url(" not in html
    assert "@import" not in html
    policy = next(str(a["content"]) for t, a in page.tags if t == "meta" and a.get("http-equiv"))
    assert policy.startswith("default-src 'none'")
    assert "script-src" not in policy


def test_what_others_wrote_is_shown_as_they_wrote_it():
    """Parameters, names of baselines, climber, path, protection: escaped, never interpreted."""
    html = render(STORIES["promoted"])
    assert html.count("<script") == html.count("</script") == 1
    data = claimed(html)
    assert data is not None and EVIL in data["baselines"], "the data hold it, too, and it cannot end them"
    assert "<img" not in html
    assert "49" not in Page(html).text.split("{{ 7*7 }}")[0][-5:]
    assert Page(html).text.count(EVIL.split("\x1b")[0]) >= 5


@pytest.mark.parametrize("name", STORIES)
def test_figures_are_drawable(name):
    """Every figure is well-formed XML with finite coordinates inside its own box."""
    html = render(STORIES[name])
    found = re.findall(r"<svg.*?</svg>", html, re.S)
    assert found
    for text in found:
        _, _, width, height = map(float, re.search(r'viewBox="([^"]+)"', text).group(1).split())
        root = ET.fromstring(re.sub(r"[\x00-\x08\x0b-\x1f]", "", text))
        for element in root.iter():
            for key in ("x", "x1", "x2", "cx"):
                assert -1 <= float(element.get(key, 0)) <= width + 1, (key, element.attrib)
            for key in ("y", "y1", "y2", "cy"):
                assert -1 <= float(element.get(key, 0)) <= height + 1, (key, element.attrib)
        assert "nan" not in text
        assert "inf" not in text.replace("information", "")


@pytest.mark.parametrize(
    ("low", "high"), [(0, 1), (0, 0), (-5, -5), (-3, -1), (0, 1e-9), (0, 1e12), (0.1, 0.1 + 1e-15), (-1e-3, 7)]
)
def test_a_scale_has_ticks_inside_its_range(low, high):
    """Also for one point, negative, tiny and huge ranges; and it maps its ends to its ends."""
    scale = figures.Scale(low, high, 10, 90)
    assert scale(scale.low) == 10
    assert math.isclose(scale(scale.high), 90)
    ticks = scale.ticks()
    assert len(ticks) <= 12
    span = scale.high - scale.low
    assert all(scale.low - 1e-6 * span - 1e-9 <= t <= scale.high + 1e-6 * span + 1e-9 for t in ticks)
    assert ticks == sorted(ticks)


def test_an_interval_beyond_the_anchors_is_still_inside_the_figure():
    """Values under the floor or over the ceiling widen the axis instead of leaving it."""
    bars = [figures.Bar("a<b", -0.5, -0.9, 1.9, "champion")]
    text = figures.intervals(bars, "PGR")
    assert "a&lt;b" in text
    xs = [float(x) for x in re.findall(r' (?:x|x1|x2|cx)="([-\d.]+)"', text)]
    assert min(xs) >= 0
    assert max(xs) <= figures.WIDTH


@pytest.mark.parametrize("ends", [(0.5, 0.5, 0.5), (0.0, 0.0, 0.01, 1.0), (1.0, 0.99, 0.98, 0.0)])
def test_names_of_curves_do_not_lie_on_each_other(ends):
    """Wherever curves end, at the very bottom too: every name is a line from the next and inside its chart."""
    lines = [figures.Line(f"curve {i}", (0, 1), (0, y)) for i, y in enumerate(ends)]
    text = figures.curves(figures.Chart("a chart", "x", "y", lines, reach=(0, 1)))
    places = sorted(float(y) for y in re.findall(r'class="name" x="[^"]+" y="([^"]+)"', text))
    assert len(places) == len(ends)
    assert all(b - a >= 15 - 1e-6 for a, b in itertools.pairwise(places))
    assert places[0] >= 22
    assert places[-1] <= 340 - 48 + 4


def test_stacked_charts_keep_their_titles_and_their_ticks():
    """Each chart stands below the last one, under its title, with the words that it has for its places."""
    charts = [
        figures.Chart(f"a < {i}", "x", "y", [figures.Line("l", (0, 1), (0, 1))], ticks=[(0, "low")]) for i in "12"
    ]
    root = ET.fromstring(figures.standalone_svg(figures.stack("both", charts)))
    words = [e.text for e in root.iter() if e.tag.endswith("text")]
    assert [w for w in words if w.startswith("a <")] == ["a < 1", "a < 2"]
    assert words.count("low") == 2
    tops = [float(e.get("transform").split()[1][:-1]) for e in root.iter() if e.get("transform")]
    assert tops[1] - tops[0] >= 260


def test_a_rehearsal_and_a_lack_of_protection_are_said_at_the_top():
    """A reader sees them before the numbers they spoil."""
    s = history()
    s.opening = opening(protection={"tier": "none", "protected": False})
    text = Page(render(s)).text
    assert "Unprotected" in text
    assert "It certifies nothing" in text
    assert text.index("Unprotected") < text.index("Against the baselines")


def test_protection_is_told_in_sentences():
    """What held, what the candidate was, its limits; not the record's fields."""
    proof = {
        "tier": "linux-full", "protected": True, "off": [], "landlock_abi": 7, "seccomp": {"stage1": "d39c"},
        "namespaces": ["net"], "identity": "uid dropped", "network": "denied", "instead": "",
        "limits": {"wall_s": 0.5, "cpu_s": 2.0, "memory_mb": 256},
    }  # fmt: skip
    s = history()
    s.opening = opening(protection=proof)
    page = Page(render(s)).text
    assert (
        "Every candidate ran in a sandbox of the tier linux-full: namespaces, Landlock (ABI 7), seccomp filters, "
        "uid dropped; network denied. Its limits were 0.5 s, 2.0 CPU s and 256 MiB." in page
    )
    s.opening = opening(protection={"tier": "none"})
    assert "None: candidates could read and change anything that the user could." in Page(render(s)).text


def test_dev_measured_and_sealed_stand_on_one_axis():
    """The sealed test is in the climb's figure once it is open, beside the line that ends the climb, and not before."""
    shown = render(STORIES["promoted"])
    assert "<title>sealed test: 0.300 [0.200, 0.400]</title>" in shown
    assert 'class="sealed"' not in render(STORIES["sealed"]).split("</style>")[1]


@pytest.mark.parametrize(("best", "measured"), [(0.5, 0.4), (0.4, 0.5), (0.45, 0.45)])
def test_the_names_in_the_figure_do_not_cross(best, measured):
    """The higher of the line and the champion has its name above, the other below; also where both are level."""
    promotion = figures.Promotion(5, measured, measured - 0.02, measured + 0.02)
    drawn = ET.fromstring(figures.climb([1, 100], [0.1, best], [promotion], 100, "value"))
    heights = {
        t.get("class"): float(t.get("y")) for t in drawn.iter() if t.get("class") in ("dev-label", "champion-label")
    }
    assert abs(heights["dev-label"] - heights["champion-label"]) >= 15
    assert (heights["dev-label"] < heights["champion-label"]) == (best >= measured)
