"""A busy machine, made on purpose: neighbours that compute, one that touches much memory, and somebody who stops
processes at random. Everything is started below the test, at the test's own priority, and ends with it."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType

ENDS_WITH_US = "import ctypes; ctypes.CDLL(None).prctl(1, 9)\n"
COMPUTE = ENDS_WITH_US + "while True: pass"
TOUCH = ENDS_WITH_US + "import sys\nwhile True:\n    for n in range(4): x = bytearray(b'x') * int(sys.argv[1])"


class Load:
    """A context manager. root: the process that is stopped, with all that is below it. stops_s: (least, most)."""

    def __init__(self, root: int, neighbours: int, memory: int, stops_s: tuple[float, float], seed: int = 0) -> None:
        self.root, self.stops_s, self.stops = root, stops_s, 0
        self._commands = [[COMPUTE]] * neighbours + ([[TOUCH, str(memory)]] if memory else [])
        self._dice, self._enough = random.Random(seed), threading.Event()
        self._stopper = threading.Thread(target=self._stop_some)

    def __enter__(self) -> Load:
        self._running = [subprocess.Popen([sys.executable, "-c", *command]) for command in self._commands]
        self._stopper.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, e: BaseException | None, tb: TracebackType | None) -> None:
        self._enough.set()
        self._stopper.join()
        for process in self._running:
            process.kill()
            process.wait()

    def _stop_some(self) -> None:
        """Now the process itself, now its zygote, now a child; mostly the youngest, which is at work."""
        while not self._enough.wait(self._dice.uniform(0.0, self.stops_s[1])):
            below = family(self.root)
            pid = below[-1] if self._dice.random() < 0.7 else self._dice.choice(below)
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
                try:
                    self._enough.wait(self._dice.uniform(*self.stops_s))
                    self.stops += 1
                finally:
                    os.kill(pid, signal.SIGCONT)


def family(root: int) -> list[int]:
    """The process and everything below it, parents first."""
    found = [root]
    for pid in found:
        with contextlib.suppress(OSError):
            found += map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
    return found
