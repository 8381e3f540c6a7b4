"""Raises its sealed result in the ledger, makes the chain anew around it, and has the report written from that.

Source: corpus row T66, with the care to leave no broken hash.
"""

import json
import sqlite3
from contextlib import closing

import msgspec

from toprope import wire
from toprope.errors import RunError
from toprope.journal.ledger import GENESIS, entry_hash, read_entries
from toprope.journal.records import record

CLASS = "C10"
MEETS = "ledger commitment"
EXPECT = "rejected"
ON = "testing/coin-v1"
WHY = "it needs a whole run of its own, which there takes seconds"


def climb(rig):
    """The chain holds; `verify` opens the test again from the revealed secret, and it ends otherwise."""
    run = rig.finished("forged")
    forge(run)
    rig.cli("report", run)
    done = rig.cli("verify", run, "--workers", 1, "--json")
    if done.returncode == 0:
        return "a forged ledger was verified"
    checks = json.loads(done.stdout)["checks"]
    if [c["ok"] for c in checks if c["name"] == "chain"] != [True]:
        return "the forgery has a broken chain: it shows nothing"
    raise RunError("; ".join(c["why"] for c in checks if c["ok"] is False))


def twin(rig):
    """A run that was left alone is what it says."""
    done = rig.cli("verify", rig.finished("genuine"), "--workers", 1, "--json")
    return None if done.returncode == 0 else f"an untouched run was not verified: {done.stdout}{done.stderr}"


def forge(run):
    """Ten points more for the champion, in the record that says so, draw by draw, and every later hash made anew."""
    records = [(e.kind, record(e)) for e in read_entries(run)]
    head = GENESIS
    with closing(sqlite3.connect(run / "ledger.db", isolation_level=None)) as db:
        db.execute("DELETE FROM entries")
        for seq, (kind, said) in enumerate(records):
            if kind == "test":
                c = said.champion
                better = msgspec.structs.replace(c, value=c.value + 0.1, lo=c.lo + 0.1, hi=c.hi + 0.1)
                said = msgspec.structs.replace(said, champion=better, per_draw=said.per_draw + 0.1)
            body = wire.encode(said)
            head = entry_hash(head, seq, kind, body)
            db.execute("INSERT INTO entries VALUES (?,?,?,?)", (seq, kind, body, bytes.fromhex(head)))
