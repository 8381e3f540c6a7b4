"""What the tests of the dashboard share: a folder of runs, and a browser that has entered."""

import shutil

import pytest
from asking import Client, sound, written

from toprope.serve.app import make
from toprope.serve.shelf import Shelf


@pytest.fixture(scope="session")
def two_runs(tmp_path_factory):
    """A folder with one finished run, `done`, and one whose test is closed, `open`. Tests change copies only."""
    folder = tmp_path_factory.mktemp("two") / "runs"
    written(folder / "done", sound())
    written(folder / "open", sound(tested=False))
    return folder


@pytest.fixture
def shelf(two_runs, tmp_path):
    """A copy of these runs."""
    shutil.copytree(two_runs, tmp_path / "runs")
    found = Shelf(tmp_path / "runs")
    yield found
    found.close()


@pytest.fixture
def client(shelf) -> Client:
    """A browser that has entered."""
    return Client(make(shelf)).enter()
