"""What the tests of the dashboard share: a folder of runs, and a browser that has entered."""

import pytest
from asking import Client, sound, written

from toprope.serve.app import make
from toprope.serve.shelf import Shelf


@pytest.fixture
def shelf(tmp_path):
    """A folder with one finished run, `done`, and one whose test is closed, `open`."""
    written(tmp_path / "runs" / "done", sound())
    written(tmp_path / "runs" / "open", sound(tested=False))
    found = Shelf(tmp_path / "runs")
    yield found
    found.close()


@pytest.fixture
def client(shelf) -> Client:
    """A browser that has entered."""
    return Client(make(shelf)).enter()
