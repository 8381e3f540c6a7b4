"""Rooms whose owners are hostile: what they leave behind reaches nothing else, and ends nobody else's work."""

from types import SimpleNamespace

import pytest

from toprope.researchers.tools import Toolbox
from toprope.researchers.workspace import Workspace
from toprope.run.desk import Quota
from toprope.tasks import registry


@pytest.fixture
def box(tmp_path):
    """Tools at a desk that knows the task and nothing else."""
    desk = SimpleNamespace(spec=registry.load("testing/coin-v1").spec, findings=[], quota=Quota())
    return Toolbox(desk, "ada", Workspace(tmp_path / "ada" / "room"), tmp_path / "ada" / "calls.jsonl")


def test_parameters_are_read_from_the_room_only(box, tmp_path):
    """A params.json that is a link to a file of the host would come back with the candidate's snapshot."""
    (tmp_path / "secret.json").write_text('{"api_key": "hidden"}')
    box.run(f"mkdir c; touch c/solution.py; ln -s {tmp_path}/secret.json c/params.json")
    assert "params.json is a symbolic link" in box.evaluate("c")
