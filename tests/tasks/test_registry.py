"""Tasks by name: what is there, what a name means, and what is said of one that means nothing."""

import pytest

from toprope.errors import UsageError
from toprope.tasks import registry
from toprope.tasks.new import new


@pytest.fixture
def mine(tmp_path, monkeypatch):
    new(tmp_path / "mine", "own/mine-v1")
    monkeypatch.setenv("TOPROPE_TASKS", str(tmp_path))
    return tmp_path / "mine"


def test_every_listed_task_can_be_made():
    """And is the one that it is listed as."""
    listed = registry.available()
    assert {t.id for t in listed} == set(registry.installed())
    for task in listed:
        assert registry.load(task.id).spec.id == task.id


def test_a_near_name_is_proposed():
    """An unknown id names what exists, and the nearest."""
    with pytest.raises(UsageError, match=r"did you mean proxy/reward-model-v1\?"):
        registry.load("proxy/reward-model-v2")


def test_a_task_of_ones_own_is_found_below_a_named_folder(mine):
    """By its id, and its null twin with it."""
    assert registry.own() == {"own/mine-v1": mine}
    assert registry.load("own/mine-v1~null").spec.id == "own/mine-v1~null"


def test_a_changed_file_is_another_module(mine):
    """A task is read again after its file was edited."""
    before = type(registry.load("own/mine-v1"))
    assert type(registry.load("own/mine-v1")) is before
    with (mine / "task.py").open("a") as f:
        f.write("\n# edited\n")
    assert type(registry.load("own/mine-v1")) is not before


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("raise RuntimeError('boom')", "cannot be loaded: RuntimeError: boom"),
        ("x = 1", r"defines no make\(task_id\)"),
        ("def make(task_id): return object()", "has no spec"),
        ("def make(task_id): raise KeyError('k')", "cannot be made: KeyError"),
    ],
)
def test_a_task_that_cannot_be_made_is_one_line(mine, text, said):
    """With the folder and the cause."""
    (mine / "task.py").write_text(text)
    with pytest.raises(UsageError, match=said) as caught:
        registry.load("own/mine-v1")
    assert str(mine) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_entry_that_holds_no_task_is_told(mine, tmp_path, monkeypatch):
    """With the entry and the remedy; the others are there."""
    monkeypatch.setenv("TOPROPE_TASKS", f"{mine}:{tmp_path / 'nowhere'}")
    (line,) = registry.faults()
    assert str(tmp_path / "nowhere") in line
    assert "correct or remove this entry" in line
    assert set(registry.own()) == {"own/mine-v1"}
