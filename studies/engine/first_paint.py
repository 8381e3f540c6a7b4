"""Server time of the dashboard's pages on a run of very many experiments (docs/dashboard.md).

The ledgers are those of `engine/large_ledger`: a climb of the no-op task in blocks of 5,000, and one of the same length
in blocks of 4. The dashboard serves both from a thread of this process. A page is loaded over HTTP; wall milliseconds
and those of this process's CPU, threads that read ledgers included, stand side by side. "First" is the first load of
this page after the ledger has been opened; "again" is the median of AGAIN more.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
import urllib.request
from pathlib import Path

from studies.engine.large_ledger import climbed, made
from toprope.serve.server import in_thread

AGAIN = 5
LEDGERS = ("blocks-5000", "blocks-4")
PAGES = (
    "", "/experiments", "/experiments?sort=best", "/experiments?min=0.5&sort=best", "/experiments/{last}",
    "/experiments?page=1000", "/importance", "/replay?until=9",
)  # fmt: skip


def main(experiments: float = 1e6, folder: str = "", only: str = "") -> None:
    """folder: with the runs of an earlier call; "": they are made in a temporary one. only: one of LEDGERS."""
    n = int(experiments)
    with tempfile.TemporaryDirectory() as fresh:
        runs = Path(folder or fresh)
        os.environ["TOPROPE_VAULT"] = str(runs.parent / f"{runs.name}-vault")
        if not (runs / LEDGERS[0]).is_dir():
            climbed(runs / LEDGERS[0], n, "evolution")
        if only != LEDGERS[0] and not (runs / LEDGERS[1]).is_dir():
            made(runs / LEDGERS[1], runs / LEDGERS[0], n)
        with in_thread(runs) as (base, token):
            opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
            opener.open(f"{base}/?token={token}").read()
            for name in [only] if only else LEDGERS:
                began = time.monotonic()
                ms = timed(opener, f"{base}/runs/{name}")
                while b"is being read" in opener.open(f"{base}/runs/{name}").read():
                    time.sleep(0.2)
                later = time.monotonic() - began
                print(f"\n{n:,} experiments in {name}: first answer {told(ms)}, open {later:.1f} s later")
                print("\n| page | first: ms, CPU ms | again: ms, CPU ms |\n|---|---|---|")
                for page in PAGES:
                    address = f"{base}/runs/{name}{page.format(last=n - 1)}"
                    first = timed(opener, address)
                    while b"is being taken up" in opener.open(address).read():
                        time.sleep(0.5)
                    again = [timed(opener, address) for _ in range(AGAIN)]
                    median = tuple(map(statistics.median, zip(*again, strict=True)))
                    print(f"| `{page or 'the run'}` | {told(first)} | {told(median)} |", flush=True)


def timed(opener: urllib.request.OpenerDirector, address: str) -> tuple[float, ...]:
    """Milliseconds, and milliseconds of CPU, until the page is loaded."""
    wall, cpu = time.perf_counter(), time.process_time()
    opener.open(address).read()
    return 1000 * (time.perf_counter() - wall), 1000 * (time.process_time() - cpu)


def told(ms: tuple[float, ...]) -> str:
    return f"{ms[0]:.0f}, {ms[1]:.0f}"
