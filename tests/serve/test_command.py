"""`toprope serve` on the command line: where it says to look, and how it refuses."""

import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request

import pytest

pytestmark = pytest.mark.e2e


def test_it_prints_an_address_that_works(cli, shelf):
    """With its token, on stderr, with the line for a tunnel; Ctrl-C ends it with 0 or 130."""
    served = cli.start("serve", "--runs", shelf.folder)
    try:
        address = re.findall(r"http://127\.0\.0\.1:\d+/\?token=\S+", served.stderr.readline())[0]
        assert "ssh -N -L" in served.stderr.readline()
        opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
        assert b"/runs/done" in opener.open(address, timeout=30).read()
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(address.split("?")[0], timeout=30)
        served.send_signal(signal.SIGINT)
        out, _ = served.communicate(timeout=30)
        assert served.returncode in (0, 130)
        assert out == ""
    finally:
        served.kill()


def test_wishes_that_cannot_be_met_end_in_one_line(cli, shelf, tmp_path):
    """A folder that is missing, a run in place of its folder, a port that is taken, a port that cannot be."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for words, said in (
            (["--runs", tmp_path / "none"], "does not exist"),
            (["--runs", shelf.folder / "done"], "name the folder that holds it"),
            (["--runs", shelf.folder, "--port", port], "name a free port"),
            (["--runs", shelf.folder, "--port", 0], "0"),
        ):
            done = cli.run("serve", *words)
            assert done.returncode == 2, done
            assert said in done.stderr
            assert done.stderr.count("\n") == 1


def test_without_the_extra_it_says_what_to_install(shelf):
    """And the other commands do not load it."""
    code = (
        "import sys; sys.modules['starlette'] = None; from toprope.cli import main;"
        f"sys.argv = ['toprope', 'serve', '--runs', {str(shelf.folder)!r}]; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ, timeout=60)
    assert done.returncode == 2
    assert "pip install 'toprope[serve]'" in done.stderr
    loaded = "import sys, toprope.cli; from toprope.cli import main; print('starlette' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, timeout=60).stdout == "False\n"
    )
