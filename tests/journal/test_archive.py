"""What a ledger keeps has a form that later versions must read: it changes by a new format, never in passing."""

import hashlib

import numpy as np
import pytest

from toprope import wire
from toprope.executors.messages import Node
from toprope.journal.records import (
    FORMAT,
    KINDS,
    AttemptRecord,
    Audited,
    Author,
    BlockRecord,
    Committed,
    Ended,
    FinalsRecord,
    Finding,
    Generation,
    Note,
    Opening,
    Queried,
    SessionRecord,
    Spent,
    kind_of,
    record,
)
from toprope.journal.spec import CandidateModel, External, Imported, Plan, Replay, Researchers, RunSpec, Search
from toprope.models.messages import Reply
from toprope.protocols import Entry, Secret
from toprope.referee.recorded import Answer, Opened, RevealedVerdict
from toprope.space import Space, choice
from toprope.stats.intervals import Estimate
from toprope.types import Candidate, Incident, Tree

TREE = Tree({"solution.py": b"x = 1\n"})
CANDIDATE = Candidate(TREE, {"face": 1})
SEEN = [Incident("decoy", "certain", "used")]
E = Estimate(0.5, 0.4, 0.6, 0.05)
PLAN = Plan("p/m", 2, ["a", "b"], 10, 3, 4, 99, 1.5, [3.0, 15.0], 60.0, 6.0)
SPEC = RunSpec(
    "ab" * 8, "testing/coin-v1", Search("random"), experiments=9, minutes=1.5, until=0.5, patience=7, seed=3,
    rehearsal="x", beacon_round="r 9", candidate_model=CandidateModel("p/m", 7), executor="dir:/s",
    blocks=64, generation=128,
)  # fmt: skip
OPENING = Opening(
    spec=SPEC, toprope="0.1.0", tier="linux-full", commitment="c" * 64, certifying=True, number=2,
    vault_since="2026-01-01", hidden="public weights", detectable=0.1, protection={"tier": "linux-full"},
    floors=np.zeros(2), ceilings=np.ones(2), tree=TREE, space=Space([choice("face", [0, 1])]), started=1.0,
    confined=True, dev_partial_credit=True, secret=Secret("weights", "public weights", True, "make", True),
    answer_kinds=["errata"], mark={"code": "d"}, remembered=99,
)  # fmt: skip
BLOCK = BlockRecord(
    "0.0.2", np.array([0], np.uint32), 0, 2, np.zeros((1, 1), np.uint8), np.zeros((1, 2), np.float32), {0: "crash"},
    {0: "why"}, 0.1, 0.2, {0: SEEN}, Author("ada", CANDIDATE, "p"),
    Node("n", "linux-full", "0.1.0", "d" * 64), 2,
)  # fmt: skip
REPLY = Reply(b"k" * 32, "yes", 10, 0.5, True)
TEST = Opened(
    E, {"b": E}, {"b": E}, 1, 64, b"s" * 32, 1.0, np.zeros(2),
    [RevealedVerdict(1, 1, "c", True, 0, 1.5, 2.5, 64, "")], "v",
    {"c": SEEN}, [REPLY],
)  # fmt: skip

# sha256 of the bytes of a record with every field set, 16 digits. A field that is added with a default changes them and
# is fine; then `past.py` has nothing to do. Anything else is a new format: a ledger of this one is kept, see
# test_earlier_formats.py.
ARCHIVED = [
    (SPEC, "5399a519882efc29"),
    (RunSpec("r", "t", Replay("f"), minutes=2.0), "cfd1b1c4214ae090"),
    (RunSpec("r", "t", Imported("mine:Mine"), minutes=2.0), "228e4153fae1d24a"),
    (RunSpec("r", "t", Researchers(PLAN), experiments=1), "5b88be9c170bb62f"),
    (RunSpec("r", "t", External(PLAN), experiments=1), "279595bcfd16de4e"),
    (OPENING, "764e493f3b6b5099"),
    (SessionRecord(3, "0.1.0", "d"), "bb0f57644d2786ed"),
    (BLOCK, "955feaa96f6e0a2c"),
    (Generation(1, 33, 1.5, 0.5, 7, 2, 1), "652f6619ef4e6e83"),
    (AttemptRecord(CANDIDATE, 1, 0.4, True, 2, SEEN, "ada", 5), "a12af2734d934187"),
    (Answer("c", True, 1, 1, E, 2), "df852cba53b7142c"),
    (FinalsRecord(1, np.array([0, 7], np.uint32), np.zeros((2, 3), np.float32)), "ae73bb654d4ec194"),
    (Audited("c", SEEN), "6e13df93a56253c0"),
    (Finding(1, "ada", "note", "words", "c"), "4f0de48129818a60"),
    (Note(1, "ada", "words", "0-a", 1.5, 7), "2d797879812b044b"),
    (Spent("ada", 10, 0.5, "ada-1", 2.5), "e33505d65695a9af"),
    (Queried("ada", 10, 0.5), "0c11363aabdb2b2c"),
    (Ended("ada", "finished"), "b163169f71ce2c47"),
    (REPLY, "7668f14d6313916e"),
    (Committed("c"), "db7f9c19ba6a3f13"),
    (TEST, "7f785c271f64509f"),
]


def test_every_kind_is_held():
    """Of every kind and every climber there is a record below."""
    assert {kind_of(r) for r, _ in ARCHIVED} == set(KINDS)
    assert FORMAT == 7, "new bytes below, and a ledger of the format before in test_earlier_formats.py"


@pytest.mark.parametrize(("kept", "digest"), ARCHIVED, ids=lambda x: type(x).__name__ if not isinstance(x, str) else "")
def test_the_form_of_a_record(kept, digest):
    """Its bytes are those of the version that began this format, and are read as the same record."""
    body = wire.encode(kept)
    assert hashlib.sha256(body).hexdigest()[:16] == digest
    assert wire.encode(record(Entry(0, kind_of(kept), body, ""))) == body
