"""Imports a candidate's files from memory, because a child can read no folder that holds them."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import sys
import types
from typing import Any


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports a candidate's files from memory. `a/b.py` is module a.b; a folder is a package even without
    __init__.py."""

    prefix = "candidate/"

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files

    def load(self, name: str) -> types.ModuleType:
        """Does what `import name` does, but touches fewer memory pages, each of which costs a fresh child time."""
        module = sys.modules[name] = types.ModuleType(name)
        module.__spec__ = self.find_spec(name)
        module.__loader__ = self
        self.exec_module(module)
        return module

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        stem = name.replace(".", "/")
        package = stem + "/__init__.py"
        if stem + ".py" in self.files:
            return importlib.machinery.ModuleSpec(name, self, origin=stem + ".py")
        if package in self.files or any(f.startswith(stem + "/") for f in self.files):
            return importlib.machinery.ModuleSpec(name, self, origin=package, is_package=True)
        return None

    def exec_module(self, module: types.ModuleType) -> None:
        origin = module.__spec__.origin if module.__spec__ else None
        assert origin is not None
        module.__file__ = self.prefix + origin
        source = self.files.get(origin, b"")
        text_of(source)
        exec(compile(source, self.prefix + origin, "exec", dont_inherit=True), module.__dict__)

    def get_data(self, path: str) -> bytes:
        """Other files of the candidate, for pkgutil.get_data."""
        return self.files[path.removeprefix(self.prefix)]


def text_of(source: bytes) -> None:
    """Raises SyntaxError for a file that is not valid in its encoding: compile() accepts that in comments, python
    itself does not."""
    try:
        source.decode()
    except UnicodeDecodeError as e:
        import io
        import tokenize

        encoding, _ = tokenize.detect_encoding(io.BytesIO(source).readline)
        if encoding.startswith("utf-8"):
            raise SyntaxError(f"(unicode error) {e}") from None
