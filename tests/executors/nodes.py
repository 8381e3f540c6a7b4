"""Workers of a shared directory as processes, for tests."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path


class Nodes:
    """Processes `toprope worker PATH`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.running: list[subprocess.Popen[str]] = []

    def start(self, *options: object, **environment: str) -> subprocess.Popen[str]:
        words = [sys.executable, "-m", "toprope.cli", "worker", str(self.path), *map(str, options)]
        worker = subprocess.Popen(
            words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env={**os.environ, **environment}
        )
        self.running.append(worker)
        return worker

    def lose(self) -> None:
        """One node dies, as by a lost machine, and another one comes."""
        victim = self.running.pop(0)
        victim.kill()
        victim.communicate()
        self.start("--workers", 1)

    def close(self) -> None:
        for worker in self.running:
            with contextlib.suppress(ProcessLookupError):
                worker.send_signal(signal.SIGKILL)
            worker.communicate()
        self.running.clear()


@contextlib.contextmanager
def nodes(path: Path, count: int = 0, *options: object) -> Iterator[Nodes]:
    """So many workers of one lane each, ended afterwards."""
    some = Nodes(path)
    try:
        for _ in range(count):
            some.start("--workers", 1, *options)
        yield some
    finally:
        some.close()


def until(found: Callable[[], object], seconds: float = 60.0) -> None:
    """Waits for a state of other processes."""
    end = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.05)
