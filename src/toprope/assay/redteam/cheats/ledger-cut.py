"""Deletes the runs that went badly from its own record.

Source: corpus row T52.
"""

import sqlite3

from toprope.errors import RunError

CLASS = "C10"
MEETS = "ledger"
EXPECT = "rejected"
ON = "testing/coin-v1"
WHY = "it needs a whole run of its own, which there takes seconds"


def climb(rig):
    run = rig.folder / "cut"
    rig.run(run)
    with sqlite3.connect(run / "ledger.db") as db:
        db.execute("DELETE FROM entries WHERE seq IN (SELECT seq FROM entries WHERE kind='block' LIMIT 2)")
    db.close()
    done = rig.cli("unseal", run, "--json")
    if done.returncode == 0:
        return "a ledger with entries missing was opened, continued and reported"
    raise RunError(done.stderr.strip())
