"""Executors by name, from the entry points of installed packages, ours among them, or as MODULE:CLASS."""

from __future__ import annotations

from typing import cast

from toprope import plugins
from toprope.errors import UsageError
from toprope.executors.base import MakeExecutor


def named(name: str) -> MakeExecutor:
    """The function that makes an executor of this name. Raises UsageError if it is unknown or cannot be loaded.
    The name comes from a command line: no run records it."""
    if plugins.is_target(name):
        remedy = "install its module, or put its folder on PYTHONPATH"
        return cast(MakeExecutor, plugins.imported(name, f"executor {name!r}", remedy))
    plugin = plugins.find(plugins.EXECUTORS, name)
    if plugin is None:
        there = ", ".join(plugins.registered(plugins.EXECUTORS))
        raise UsageError(f"--executor {name!r} is unknown; choose one of {there}, or MODULE:CLASS")
    return cast(MakeExecutor, plugin.load())
