"""A package of somebody else's, as an installer leaves it: its modules and its entry points in a folder on the path."""

import os
import shutil
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

THIRDPARTY = Path(__file__).with_name("thirdparty")


def installed(site: Path, project: dict, modules: dict[str, str] | None = None) -> Path:
    """Writes a distribution into a site folder. project: as in pyproject.toml. modules: file -> source."""
    info = site / f"{project['name']}-{project['version']}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    groups = project["entry-points"].items()
    lines = [f"[{group}]\n" + "".join(f"{n} = {v}\n" for n, v in names.items()) for group, names in groups]
    (info / "entry_points.txt").write_text("\n".join(lines))
    for name, source in (modules or {}).items():
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_text(source)
    return site


@pytest.fixture
def site(tmp_path, monkeypatch) -> Path:
    """An empty site folder that every process of ours has on its path."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")])))
    return folder


@pytest.fixture
def otherlab(site) -> Path:
    """The package in thirdparty/, installed."""
    project = tomllib.loads((THIRDPARTY / "pyproject.toml").read_text())["project"]
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(THIRDPARTY / "src", site, dirs_exist_ok=True, ignore=ignore)
    return installed(site, project)


@pytest.fixture
def package(site) -> Callable[..., Path]:
    """Installs one more: its name, its entry points by group, its modules."""

    def install(name: str, entries: dict[str, dict[str, str]], **modules: str) -> Path:
        files = {f"{module}.py": source for module, source in modules.items()}
        return installed(site, {"name": name, "version": "0.3", "entry-points": entries}, files)

    return install
