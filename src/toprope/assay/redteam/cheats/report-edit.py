"""Edits one digit of the sealed result in its report by hand.

Source: corpus row T66: reports numbers that are not in the record.
"""

import json

from toprope.errors import RunError

CLASS = "C10"
MEETS = "ledger"
EXPECT = "rejected"
ON = "testing/coin-v1"
WHY = "it needs a whole run of its own, which there takes seconds"


def climb(rig):
    """`verify` makes the page again from the ledger and compares it character by character."""
    run = rig.finished("touched-up")
    page = (run / "report.html").read_text(encoding="utf-8")
    digit = page.index('<div class="value">') + len('<div class="value">0.')
    other = "8" if page[digit] != "8" else "9"
    (run / "report.html").write_text(page[:digit] + other + page[digit + 1 :], encoding="utf-8")
    done = rig.cli("verify", run, "--workers", 1, "--json")
    if done.returncode == 0:
        return "an edited report was verified"
    raise RunError("; ".join(c["why"] for c in json.loads(done.stdout)["checks"] if c["ok"] is False))


def twin(rig):
    """The report as it was written passes."""
    done = rig.cli("verify", rig.finished("as-written"), "--workers", 1, "--json")
    return None if done.returncode == 0 else f"an untouched report was not verified: {done.stdout}{done.stderr}"
