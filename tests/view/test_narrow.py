"""The report on a telephone: in a real browser, 390 px wide, the page does not have to be moved sideways."""

import re
import shutil
import subprocess

import histories
import msgspec
import pytest

from toprope.types import Candidate
from toprope.view import report

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs chromium on the PATH"),
]
FRAME = """<!doctype html><iframe src="report.html" style="width: {width}px; height: 900px; border: 0"></iframe>
<p id="found"></p><script>
onload = () => {{
  const root = document.querySelector("iframe").contentDocument.documentElement;
  document.getElementById("found").textContent = root.scrollWidth + " of " + root.clientWidth;
}}
</script>"""
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --allow-file-access-from-files"
)


def width_of(page: str, width: int, folder) -> tuple[int, int]:
    """(needed, given) pixels of a page in a frame of this width."""
    (folder / "report.html").write_text(page, errors="backslashreplace")
    (folder / "frame.html").write_text(FRAME.format(width=width))
    command = [CHROMIUM, *FLAGS.split(), f"--user-data-dir={folder / 'profile'}", "--dump-dom", folder / "frame.html"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    found = re.search(r'id="found">(\d+) of (\d+)<', done.stdout)
    assert found is not None, done.stdout[-500:] + done.stderr[-500:]
    return int(found[1]), int(found[2])


@pytest.mark.parametrize("width", [390, 1400])
def test_the_page_is_not_wider_than_the_window(width, tmp_path):
    """With long names without a space in every place that a ledger fills."""
    s = histories.history()
    long = Candidate(histories.TREE, {"w" * 80: "x" * 200})
    asked = msgspec.structs.replace(s.asked[0], candidate=long)
    answer = msgspec.structs.replace(s.answers[0], candidate=long.id)
    protection = {**histories.PROTECTION, "identity": "i" * 300}
    opened = msgspec.structs.replace(s.opening, protection=protection, vault_since="v" * 300)
    page = report.render(msgspec.structs.replace(s, asked=[asked], answers=[answer], opening=opened))
    needed, given = width_of(page, width, tmp_path)
    assert needed <= given <= width


def test_the_measure_finds_a_page_that_is_too_wide(tmp_path):
    """The test above could otherwise pass for a page that was not loaded."""
    needed, given = width_of('<div style="width: 800px">x</div>', 390, tmp_path)
    assert needed > given
