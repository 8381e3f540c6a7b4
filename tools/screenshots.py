"""Takes pictures of the dashboard's pages with the machine's own chromium.

    python tools/screenshots.py OUT                      runs of a few seconds are made first, in a folder of their own
    python tools/screenshots.py OUT --runs FOLDER        of the runs that lie there
    python tools/screenshots.py OUT --only run,list      of some pages
    python tools/screenshots.py docs/dashboard --docs    the few that docs/dashboard.md shows, small

Every page is taken at 1400 and at 390 pixels, light and dark: OUT/PAGE-WIDTH-SCHEME.png. It prints what a page got
wrong: errors of the console, requests to other hosts, and parts that are wider than the window.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from toprope.serve.server import in_thread

WIDTHS = {1400: 900, 390: 844}  # pixels -> height of the window
TALL = 1080  # of wide pictures for the page, so that the figure of a run is whole
SCHEMES = ("light", "dark")
WIDER = """() => [...document.querySelectorAll('body *')].filter(e => e.getBoundingClientRect().right > innerWidth + 1
  && !e.closest('.scroll, pre, .hidden, svg')).map(e => e.tagName + '.' + e.className).slice(0, 5)"""


def main() -> int:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("out", type=Path)
    words.add_argument("--runs", type=Path)
    words.add_argument("--only", default="")
    words.add_argument("--docs", action="store_true")
    asked = words.parse_args()
    out = asked.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        runs = asked.runs or made(Path(folder))
        os.chdir(runs.parent)  # pages show the folder as it is named
        runs = Path(runs.name)
        with in_thread(runs) as (base, token), browser() as chromium:
            return shoot(
                chromium, base, token, pages(runs), out, asked.only.split(",") if asked.only else [], asked.docs
            )


def made(folder: Path) -> Path:
    """Three climbs of the test task, one of which has opened its test."""
    import toprope

    os.environ["TOPROPE_VAULT"] = str(folder / "vault")
    for name, seed, n, unseal in (
        ("first-try", 2, 300, True),
        ("longer", 3, 1200, True),
        ("not-opened", 4, 200, False),
    ):
        toprope.climb("testing/coin-v1", experiments=n, seed=seed, workers=1, unseal=unseal, run=folder / "runs" / name)
    return folder / "runs"


def pages(runs: Path) -> dict[str, str]:
    """Name of the picture -> address, for the newest run of a folder whose test is open."""
    import toprope
    from toprope.run.upkeep import runs as rows

    known = rows(runs)
    best = next((r for r in known if r["state"] == "unsealed"), known[0])
    name, s = Path(best["run"]).name, toprope.open_run(best["run"])
    two = [Path(r["run"]).name for r in known if r["task"] == best["task"]][:2]
    found = {
        "list": "/",
        "run": f"/runs/{name}",
        "experiments": f"/runs/{name}/experiments?sort=best",
        "candidate": f"/runs/{name}/experiments/{s.champion_experiment}",
        "parameters": f"/runs/{name}/importance",
        "replay": f"/runs/{name}/replay?until={len(s.generations) // 3}",
        "leaderboard": f"/leaderboard?task={best['task']}",
        "tasks": "/tasks",
        "task": f"/tasks/{best['task']}",
        "missing": "/nothing-here",
    }
    if len(two) == 2:
        found["compare"] = f"/compare?a={two[0]}&b={two[1]}"
    if (s.opening.spec.plan) is not None:
        found["conversations"] = f"/runs/{name}/transcripts"
    return found


@contextmanager
def browser() -> Iterator[Any]:
    """The machine's own chromium, under playwright. Exits with status 2 where one of them is missing."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        sys.exit("screenshots need playwright: pip install 'toprope[dev]'")
    if path is None:
        sys.exit("screenshots need chromium; install the system's package")
    with sync_playwright() as p:
        chromium = p.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu", "--disable-quic"])
        try:
            yield chromium
        finally:
            chromium.close()


def shoot(
    chromium: Any, base: str, token: str, addresses: dict[str, str], out: Path, only: list[str], docs: bool
) -> int:
    """Takes the pictures; returns 1 if a page got something wrong, else 0."""
    wrong: list[str] = []
    for width, height in WIDTHS.items():
        for scheme in SCHEMES:
            context = chromium.new_context(
                viewport={"width": width, "height": TALL if docs and width > 1000 else height}, color_scheme=scheme
            )
            page = context.new_page()
            faults = watched(page, base)
            page.goto(f"{base}/?token={token}")
            for name, address in addresses.items():
                if (only and name not in only) or (docs and name not in DOCS.get((width, scheme), ())):
                    continue
                faults.clear()
                page.goto(base + address)
                time.sleep(0.15)
                faults += [f"wider than the window: {e}" for e in page.evaluate(WIDER)]
                page.screenshot(path=out / f"{name}-{width}-{scheme}.png", full_page=not docs)
                if name == "missing":  # the browser itself says that the answer was 404
                    faults[:] = [f for f in faults if "404" not in f]
                wrong += [f"{name} {width} {scheme}: {f}" for f in faults]
            context.close()
    print(*wrong, sep="\n", end="\n" if wrong else "")
    return int(bool(wrong))


def watched(page: Any, base: str) -> list[str]:
    """A list that fills with errors of the page's console and requests to other hosts."""
    faults: list[str] = []

    def said(message: Any) -> None:
        if message.type in ("error", "warning"):
            faults.append(f"console: {message.text}")

    def asked(request: Any) -> None:
        if not request.url.startswith((base, "data:")):
            faults.append(f"request: {request.url}")

    page.on("console", said)
    page.on("pageerror", lambda e: faults.append(f"error: {e}"))
    page.on("request", asked)
    return faults


DOCS = {
    (1400, "light"): (
        "list",
        "run",
        "candidate",
        "experiments",
        "parameters",
        "replay",
        "leaderboard",
        "compare",
        "tasks",
        "task",
    ),
    (1400, "dark"): ("run",),
    (390, "light"): ("run",),
}


if __name__ == "__main__":
    sys.exit(main())
