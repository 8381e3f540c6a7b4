"""The documentation site: every page is in it, and a reader's browser asks nobody else for anything.

`make site` fails for a broken link or anchor; here the built pages are read. Needs the extra [docs].
"""

import importlib.util
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LOADS = {("script", "src"), ("img", "src"), ("iframe", "src"), ("link", "href"), ("source", "src"), ("form", "action")}
LAZY = re.compile(r'class="[^"]*\b(?:mermaid|glightbox|pyodide)\b')  # the theme's script fetches these from a CDN


class Loads(HTMLParser):
    """Collects what a browser fetches when it shows the page: links that a reader follows are not among it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value or "" for name, value in attrs if (tag, name) in LOADS]


@pytest.fixture(scope="module")
def site() -> Path:
    """Built by the command of `make site`, into the place that mkdocs.yml names."""
    if importlib.util.find_spec("zensical") is None:
        pytest.skip("the extra [docs] is not installed")
    build = [str(Path(sys.executable).with_name("zensical")), "build", "--strict", "--clean"]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return ROOT / "build" / "site"


def test_every_page_can_be_reached():
    """A page of docs/ that the navigation of mkdocs.yml does not name would be built and never found."""
    named = set(re.findall(r"[\w/-]+\.md", (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("nav:")[2]))
    assert named == {p.relative_to(ROOT / "docs").as_posix() for p in (ROOT / "docs").rglob("*.md")}


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_links_of_pages_outside_the_site(name):
    """`make site` checks the links between pages of docs/; these two lie beside it."""
    text = (ROOT / name).read_text(encoding="utf-8")
    for place, anchor in re.findall(r"\]\((?!https?:)([^)#]+)#?([^)]*)\)", text):
        assert (ROOT / place).is_file(), f"{name}: {place}"
        headings = re.findall(r"^#+ (.*)", (ROOT / place).read_text(encoding="utf-8"), re.M)
        slugs = {re.sub(r"\s+", "-", re.sub(r"[^\w\s-]", "", h).strip().lower()) for h in headings}
        assert not anchor or anchor in slugs, f"{name}: {place}#{anchor}"


@pytest.mark.e2e
def test_nothing_is_loaded_from_outside(site):
    pages = [p for p in site.rglob("*.html") if "assets" not in p.parts]
    assert len(pages) > 30
    for page in pages:
        text = page.read_text(encoding="utf-8")
        outside = [url for url in Loads(text).found if re.match(r"(?:https?:)?//", url)]
        assert not outside, f"{page}: {outside}"
        assert not LAZY.search(text), page
    styles = "".join(p.read_text(encoding="utf-8") for p in site.rglob("*.css"))
    assert not re.search(r"(?:@import|url\()\s*[\"']?(?:https?:)?//", styles)
