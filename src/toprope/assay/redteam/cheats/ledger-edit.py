"""Raises its scores in the ledger.

Source: corpus row T66: reports numbers that are not in the record.
"""

import sqlite3

from toprope.errors import RunError

CLASS = "C10"
MEETS = "ledger"
EXPECT = "rejected"
ON = "testing/coin-v1"
WHY = "it needs a whole run of its own, which there takes seconds"


def climb(rig):
    run = rig.folder / "edited"
    rig.run(run)
    with sqlite3.connect(run / "ledger.db") as db:
        (seq, body) = db.execute("SELECT seq, body FROM entries WHERE kind='block' LIMIT 1").fetchone()
        db.execute("UPDATE entries SET body=? WHERE seq=?", (body[:-1] + bytes([body[-1] ^ 1]), seq))
    db.close()
    done = rig.cli("unseal", run, "--json")
    if done.returncode == 0:
        return "an edited ledger was opened, continued and reported"
    raise RunError(done.stderr.strip())


def twin(rig):
    """The same run, left alone, opens."""
    run = rig.folder / "left-alone"
    rig.run(run)
    return None if rig.cli("unseal", run, "--json").returncode == 0 else "an untouched run did not open"
