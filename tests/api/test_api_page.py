"""docs/api.md: its reference is what the docstrings say, and its examples run as they stand."""

import re
import subprocess
import sys

import pytest

from tools.api_docs import MARKER, PAGE, page

pytestmark = pytest.mark.e2e


def test_the_reference_is_up_to_date():
    """A changed docstring or signature needs a new page: run the tool."""
    assert PAGE.read_text() == page(), "docs/api.md is stale; write it with `python tools/api_docs.py`"


@pytest.mark.slow
def test_the_examples_run(tmp_path):
    """All of them in one program, in the order of the page."""
    examples = re.findall(r"```python\n(.*?)```", PAGE.read_text().partition(MARKER)[0], re.DOTALL)
    (tmp_path / "examples.py").write_text("\n".join(examples))
    done = subprocess.run([sys.executable, "examples.py"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "ok DevScore" in done.stdout.replace("Outcome.", "").replace("OK", "ok")
    assert (tmp_path / "mine" / "ledger.db").is_file()
