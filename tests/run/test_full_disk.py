"""A disk that fills up ends a climb in one line, and after making room it goes on as if nothing had been."""

import contextlib
import os
import resource
import subprocess
import time
from pathlib import Path

import pytest

from toprope.errors import RunError
from toprope.journal.ledger import SqliteLedger, read_entries

OPTIONS = ["--experiments", 120, "--seed", 6, "--rehearsal-secret", "disk", "--workers", 1]

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("nothing_left_running")]


def mount(place: Path, options: str) -> bool:
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", str(place)], capture_output=True)
    return done.returncode == 0


def may_mount(tmp: Path) -> bool:
    place = tmp / "probe"
    place.mkdir()
    if os.geteuid() != 0 or not mount(place, "size=64k"):
        return False
    subprocess.run(["umount", str(place)], check=True)
    return True


@contextlib.contextmanager
def small_disk(place: Path, size: str):
    """A file system of its own, as small as asked for; yields what makes room."""
    place.mkdir()
    assert mount(place, f"size={size}")
    try:
        yield lambda: subprocess.run(["mount", "-o", "remount,size=64m", str(place)], check=True)
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def until_full(cli, run: Path) -> tuple[int, str]:
    """Where nothing can be mounted: from some block on, the run process may not make its files any larger."""
    process = cli.start("climb", "testing/coin-v1", *OPTIONS, "--run", run)
    while not _begun(run):
        assert process.poll() is None
        time.sleep(0.02)
    limit = (run / "ledger.db-wal").stat().st_size + 65536
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (limit, limit))
    out, err = process.communicate()
    assert out == ""
    return process.returncode, err


def _begun(run: Path) -> bool:
    with contextlib.suppress(RunError):
        return any(e.kind == "block" for e in read_entries(run))
    return False


def check(cli, code: int, err: str, run: Path, calm: Path) -> None:
    """The line was clear; `resume` goes on to the same end as an undisturbed run."""
    assert code == 2, err
    assert "Traceback" not in err
    assert err.count("toprope: ") == 1
    last = err.splitlines()[-1]
    assert last.startswith(f"toprope: cannot write {run}")
    assert "free some space" in last
    assert "toprope resume" in last
    assert cli.json("resume", run, "--workers", 1)["experiments"] == 120
    assert cli.run("climb", "testing/coin-v1", *OPTIONS, "--run", calm).returncode == 0
    assert cli.export(run) == cli.export(calm)


@pytest.mark.slow
def test_a_full_disk(cli, tmp_path):
    """On a real file system that is too small where one may be mounted, else under a limit on file sizes."""
    if not may_mount(tmp_path):
        run = tmp_path / "limited"
        check(cli, *until_full(cli, run), run, tmp_path / "calm")
        return
    run = tmp_path / "disk" / "run"
    with small_disk(tmp_path / "disk", "300k") as make_room:
        done = cli.run("climb", "testing/coin-v1", *OPTIONS, "--run", run)
        make_room()
        check(cli, done.returncode, done.stderr, run, tmp_path / "calm")


@pytest.mark.slow
def test_a_limit_on_file_sizes(cli, tmp_path):
    """The same under RLIMIT_FSIZE, which any user can have."""
    run = tmp_path / "limited"
    check(cli, *until_full(cli, run), run, tmp_path / "calm")


def test_no_room_even_to_begin(tmp_path):
    """A disk that is full from the start: one line, and the same command works once there is room."""
    if not may_mount(tmp_path):
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
        try:
            with pytest.raises(RunError, match="free some space"):
                SqliteLedger(tmp_path / "ledger.db", create=True)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        SqliteLedger(tmp_path / "ledger.db", create=True).close()
        return
    with small_disk(tmp_path / "disk", "4k") as make_room:
        with pytest.raises(RunError, match="space"):
            SqliteLedger(tmp_path / "disk" / "ledger.db", create=True)
        make_room()
        SqliteLedger(tmp_path / "disk" / "ledger.db", create=True).close()
