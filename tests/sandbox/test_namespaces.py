"""The outer wall of linux-full: what it stops by itself, what it leaves, and what ends with it."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cells
import pytest
from kit import LIMITS, assault, box, play

from toprope.errors import NoProtection
from toprope.sandbox import libraries, namespaces, selftest, walls
from toprope.sandbox.box import Sandbox
from toprope.sandbox.canaries import NAMESPACES
from toprope.types import Outcome

pytestmark = pytest.mark.e2e

needs_full = pytest.mark.skipif(not cells.full(), reason="no linux-full here; test_cells says whether doctor knows why")
HALF = frozenset({"landlock", "seccomp"})

# What every other layer lets through: it is denied, or different, in namespaces only.
ONLY: dict[str, str] = {
    "host-name": "ensure(os.uname().nodename == $host); return SUCCESS",
    "that-a-process-exists": "os.stat('/proc/%d' % $scorer); return SUCCESS",
}


@needs_full
@pytest.mark.parametrize("name", ONLY)
def test_what_namespaces_alone_stop(name: str) -> None:
    """These get through every other layer and fail once namespaces are up, and succeed again when they are off."""
    values = {"host": os.uname().nodename, "scorer": os.getpid()}
    assert assault(ONLY[name], tier="linux-landlock", **values)[:2] == (Outcome.OK, 666.0)
    assert assault(ONLY[name], tier="linux-full", **values)[:2] == (Outcome.CRASH, 0.0)
    assert assault(ONLY[name], frozenset({"namespaces"}), "linux-full", **values)[:2] == (Outcome.OK, 666.0)


@needs_full
def test_each_canary_meets_the_namespaces_and_nothing_else() -> None:
    """With Landlock and seccomp off, namespaces deny what the canaries look for; without them every kind is found."""
    found = selftest._face("linux-full", NAMESPACES, HALF)
    assert all(finding.ok for finding in found.values()), found
    fallen = selftest._face("linux-full", NAMESPACES, HALF | {"namespaces"})
    assert fallen["start"].ok
    open_layers = {name for name, finding in fallen.items() if not finding.ok}
    assert open_layers == {layer for layer, _, _ in NAMESPACES.values()}


FORGOTTEN = {
    "--unshare-net": "network devices",
    "--unshare-ipc": "ipc",
    "--unshare-pid --as-pid-1": "process ids",
    "--hostname sandbox": "host name",
}


@needs_full
@pytest.mark.parametrize("forgotten", FORGOTTEN)
def test_a_hole_in_the_outer_wall_is_noticed(forgotten: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An argument of bubblewrap that is left out is found by a canary, so that linux-full is not offered."""
    whole, words = namespaces.arguments, forgotten.split()

    def less(*given: Any) -> list[str]:
        return [w for w in whole(*given) if w not in words]

    monkeypatch.setattr(namespaces, "arguments", less)
    found = selftest._face("linux-full", NAMESPACES, HALF)
    assert {name for name, finding in found.items() if not finding.ok} == {FORGOTTEN[forgotten]}


@needs_full
@pytest.mark.skipif(os.geteuid() != 0, reason="bubblewrap forbids an ordinary user's: test_cells")
def test_root_forbids_user_namespaces_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Root has no user namespace whose count could be zero: without the mount on top of / the canary gets through."""
    whole = walls.config

    def less(*given: Any) -> dict[str, Any]:
        config = whole(*given)
        source = config["sources"]["zygote"].replace("layers.forbid_user_namespaces()", "pass")
        return config | {"sources": config["sources"] | {"zygote": source}}

    monkeypatch.setattr(walls, "config", less)
    found = selftest._face("linux-full", NAMESPACES, HALF)
    assert {name for name, finding in found.items() if not finding.ok} == {"user namespaces"}


@needs_full
def test_nothing_survives_the_zygote() -> None:
    """A process that got away from its parent outlives a sandbox without namespaces, and never one with them."""
    source = """
import os, time
def f(x):
    if os.fork() == 0:
        if os.fork() == 0:  # nobody's child now: the signal for a dead parent is forgotten by fork
            for fd in range(3, 64):
                try:
                    os.close(fd)
                except OSError:
                    pass
            time.sleep(60)
        os._exit(0)
    os.wait()
    return [1.0]
"""
    left = {}
    for tier, off in (("linux-full", {"seccomp"}), ("linux-full", {"seccomp", "namespaces"})):
        with Sandbox(LIMITS, tier=tier, off=frozenset(off)) as sandbox:
            group = sandbox.zygote.process.pid
            result, _, _ = play(source, sandbox=sandbox)
            assert result.outcomes == [Outcome.OK], result
        left["namespaces" in off] = _gone(group, within_s=1.0 if "namespaces" in off else 60.0)
    assert left == {False: True, True: False}


def _gone(group: int, within_s: float) -> bool:
    """Is the process group empty by then? Ends what is left of it."""
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)
    return False


@needs_full
def test_a_killed_scorer_leaves_nothing() -> None:
    """kill -9 of a scorer whose child hangs: zygote, child and bubblewrap end too."""
    program = """
    import sys
    from kit import LIMITS, play
    from toprope.sandbox.box import Sandbox
    from toprope.types import Limits
    with Sandbox(Limits(wall_s=60.0, cpu_s=60.0), tier="linux-full") as sandbox:
        print(sandbox.zygote.process.pid, flush=True)
        play("def f(x):\\n    while True: pass\\n", sandbox=sandbox)
    """
    paths = os.pathsep.join((str(Path(__file__).parent), str(Path(__file__).parents[1])))
    scorer = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": paths},
    )
    assert scorer.stdout is not None
    with scorer.stdout:
        group = int(scorer.stdout.readline())
    time.sleep(0.3)  # it is in its loop by now, or will never be
    scorer.kill()
    scorer.wait()
    assert _gone(group, within_s=60.0)


@needs_full
def test_the_record_is_the_kernels_word() -> None:
    """Process and user id in the record are what the kernel says about the sender; limits count from real use."""
    sandbox = box(tier="linux-full")
    status = dict(line.split(":", 1) for line in Path(f"/proc/{sandbox.zygote_pid}/status").read_text().splitlines())
    assert int(status["Uid"].split()[0]) == sandbox.protection["uid"]
    assert status["NSpid"].split()[-1] == "1"
    assert [int(status[f"Cap{name}"], 16) for name in ("Eff", "Prm", "Inh", "Amb", "Bnd")] == [0] * 5
    assert (int(status["NoNewPrivs"]), int(status["Seccomp"])) == (1, 2)
    result, _, _ = play("import numpy as np\ndef f(x):\n    return [np.empty(1 << 24).size / 1e9]\n", sandbox=sandbox)
    assert result.outcomes == [Outcome.OK]  # 128 MiB of the 256 that are allowed beyond what it starts with


class TestBubblewrap:
    @pytest.fixture
    def folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
        """A folder of root's alone, with a program in it where bubblewrap is looked for."""
        place = Path("/var/lib" if os.geteuid() == 0 else Path.home()) / f"toprope-test-{os.getpid()}"
        place.mkdir(mode=0o755)
        shutil.copy("/bin/true", place / "bwrap")
        monkeypatch.setattr(namespaces, "PLACES", (str(place / "bwrap"),))
        yield place
        shutil.rmtree(place)

    def test_one_that_others_can_change_is_refused(self, folder: Path) -> None:
        """A program that someone else may write to, or whose folder they may, does not protect."""
        assert namespaces.installed() == str(folder / "bwrap")
        folder.chmod(0o777)
        with pytest.raises(NoProtection, match="could be changed by others"):
            namespaces.installed()
        folder.chmod(0o755)
        (folder / "bwrap").chmod(0o775)
        with pytest.raises(NoProtection, match="root's alone"):
            Sandbox(LIMITS, tier="linux-full")

    def test_none_is_said_in_one_line(self, folder: Path) -> None:
        """Without bubblewrap linux-full does not start, and the self-test knows the remedy."""
        (folder / "bwrap").unlink()
        with pytest.raises(NoProtection, match="bubblewrap is not installed"):
            Sandbox(LIMITS, tier="linux-full")
        start = selftest._face("linux-full", {})["start"]
        assert "apt install bubblewrap" in start.remedy

    def test_its_own_words_come_through(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """What bubblewrap complains about is in the reason for not starting."""
        if not namespaces.installed():
            pytest.skip("bubblewrap is not installed here")
        monkeypatch.setattr(namespaces, "arguments", lambda *_: ["--no-such-option"])
        with pytest.raises(NoProtection, match="no-such-option"):
            Sandbox(LIMITS, tier="linux-full")


class TestMounts:
    def test_links_lead_where_they_led_and_holes_stay_empty(self, tmp_path: Path) -> None:
        """Links are made again, their ends are bound, a folder's holes are covered, and what is allowed in a hole is
        bound into it."""
        library = tmp_path / "real" / "lib"
        for name in ("a.py", "site/numpy/x.py", "site/other/y.py"):
            (library / name).parent.mkdir(parents=True, exist_ok=True)
            (library / name).touch()
        (tmp_path / "lib").symlink_to("real/lib")
        (tmp_path / "outside.so.1").touch()
        (tmp_path / "outside.so").symlink_to("outside.so.1")
        readable = [str(tmp_path / "lib/a.py"), str(library / "site/numpy"), str(tmp_path / "outside.so")]
        holes = [str(library / "site"), str(library / "missing")]
        said = namespaces.arguments(namespaces.layout(readable, str(library), holes))
        told = " ".join(said)
        for part in (
            f"--ro-bind {library} {library} --tmpfs {library}/site --ro-bind {library}/site/numpy",
            f"--symlink real/lib {tmp_path}/lib",
            f"--symlink outside.so.1 {tmp_path}/outside.so",
            f"--remount-ro {library}/site --remount-ro /",
        ):
            assert part in told
        assert "other" not in told
        assert said.count("--ro-bind") == 3

    @needs_full
    def test_the_root_holds_the_allow_list_and_nothing_else(self) -> None:
        """Every file that can be found in the new root is on the list that Landlock is given."""
        source = """
import os
def f(x):
    found = [os.path.join(at, name) for at, _, names in os.walk("/") for name in names]
    raise ValueError(len(found), [p for p in found if not p.startswith(tuple(ALLOWED))][:5])
"""
        allowed = walls.config("numpy", frozenset(), True)["readable"]
        reals = sorted({os.path.realpath(p) for p in allowed} | set(allowed))
        sandbox = box(HALF, tier="linux-full")
        result, _, _ = play(f"ALLOWED = {reals!r}\n{source}", sandbox=sandbox)
        assert result.messages[0].endswith("[]) (solution.py line 6)"), result.messages[0][:500]


class TestLibraries:
    def test_the_closure_is_what_the_loader_loads(self) -> None:
        """Every library that this interpreter has mapped from a system folder is among those found by reading files."""
        program = "import math, zlib, ssl, sqlite3, lzma; print(open('/proc/self/maps').read())"
        maps = subprocess.run([sys.executable, "-S", "-c", program], capture_output=True, text=True, check=True).stdout
        loaded = {os.path.realpath(line.split()[-1]) for line in maps.splitlines() if ".so" in line}
        readable = {os.path.realpath(p) for p in walls.config("numpy", frozenset())["readable"]}
        outside = {p for p in loaded - readable if Path(p).parent.name != "lib-dynload"}  # that folder is on the list
        assert len(loaded) > 5
        assert outside == set()

    def test_what_is_no_elf_file_needs_nothing(self, tmp_path: Path) -> None:
        """A text file, an empty one and a 32-bit one are read without complaint."""
        for data in (b"", b"#!/bin/sh\n", b"\x7fELF\x01\x01" + bytes(100)):
            (tmp_path / "x.so").write_bytes(data)
            assert libraries.needed(tmp_path / "x.so") == set()
