"""Reading task.toml and candidate folders."""

from pathlib import Path

import pytest

import toprope_tasks.proxy as family
from toprope.errors import UsageError
from toprope.tasks.spec import load_spec, load_tree

GOOD = Path(family.__file__).parent / "task.toml"


def test_shipped_spec_loads() -> None:
    """The shipped file converts into a TaskSpec with its nested parts."""
    spec = load_spec(GOOD)
    assert spec.id == "proxy/reward-model-v1"
    assert spec.metric.direction == "maximize"
    assert spec.splits.rungs == sorted(spec.splits.rungs)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("licence =", "license ="), "unknown field 'license'"),
        (("wall_s = 5.0", 'wall_s = "long"'), "wall_s"),
        (("[metric]", "[metric"), "task.toml"),
        (('area = "reward-model over-optimisation"', ""), "area"),
    ],
)
def test_a_bad_spec_names_file_and_field(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    """An unknown, mistyped, malformed or missing field gives one line naming it."""
    file = tmp_path / "task.toml"
    file.write_text(GOOD.read_text().replace(*change))
    with pytest.raises(UsageError, match=message):
        load_spec(file)
    with pytest.raises(UsageError, match="nowhere"):
        load_spec(tmp_path / "nowhere.toml")


def test_a_tree_is_the_folder_without_leftovers(tmp_path: Path) -> None:
    """Hidden files and compiled leftovers do not change a candidate's identity; an empty folder is refused."""
    with pytest.raises(UsageError, match="needs at least solution"):
        load_tree(tmp_path)
    (tmp_path / "lib").mkdir()
    (tmp_path / "solution.py").write_bytes(b"x = 1\n")
    (tmp_path / "lib" / "more.py").write_bytes(b"")
    before = load_tree(tmp_path)
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "solution.pyc").write_bytes(b"junk")
    (tmp_path / ".hidden").write_bytes(b"junk")
    assert load_tree(tmp_path).digest == before.digest
    assert sorted(before.files) == ["lib/more.py", "solution.py"]
