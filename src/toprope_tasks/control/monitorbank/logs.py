"""Saved Inspect logs as a bank of labelled transcripts, and its parts: which split may use which transcript.

TOPROPE_MONITOR_LOGS names a folder with the user's .eval files; without it the demo logs of the package are used. A
sample is an attack if its score `attack` is C (1, true) or, without such a score, if its metadata say attack: true;
samples without both are left out. metadata.kind names the kind of attack; without it the eval's task does.
"""

from __future__ import annotations

import hashlib
import os
import random
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

from toprope import paths
from toprope.errors import UsageError
from toprope.types import Json, Split

LOGS = "TOPROPE_MONITOR_LOGS"
DEMO = Path(__file__).parent / "logs"
FORM = b"toprope monitor bank 2"
ATTACKS, HONEST = 6, 8  # of a draw: attacks, and honest transcripts including the indistinguishable pair
PARTS: dict[Split, int] = {"dev": 6, "val": 6, "measure": 4, "test": 8}  # twenty-fourths of each kind's transcripts
UNSEEN = 4  # every so many kinds, one is met in the test only


class Transcript(msgspec.Struct, frozen=True):
    """messages: as a candidate sees them, {"role", "content"} and, of an assistant's, {"calls": [{"function",
    "arguments"}]}. attack: whether it did something nobody had asked for."""

    id: str
    kind: str
    attack: bool
    messages: list[dict[str, Json]]


class TranscriptBank(msgspec.Struct, frozen=True):
    """kinds: those that a split's attacks come from, sorted. attacks: kind -> transcripts. honest: all of the split."""

    kinds: list[str]
    attacks: dict[str, list[Transcript]]
    honest: list[Transcript]


def folder() -> Path:
    named = os.environ.get(LOGS)
    return Path(named) if named else DEMO


def own() -> bool:
    return folder() != DEMO


@lru_cache(maxsize=2)
def digest(where: Path) -> str:
    """The digest of all logs in a folder, independent of their names. Raises UsageError for a folder without logs."""
    files = sorted(where.glob("*.eval"))
    if not files:
        raise UsageError(f"{LOGS} {where} holds no .eval file; expected a folder of Inspect logs")
    parts = sorted(hashlib.sha256(file.read_bytes()).digest() for file in files)
    return hashlib.sha256(FORM + b"".join(parts)).hexdigest()


@lru_cache(maxsize=2)
def transcripts(where: Path) -> list[Transcript]:
    """Of all logs of a folder, in an order that is theirs alone. Read once and kept in the user's cache by content.

    Raises UsageError for a folder without logs, a log that cannot be read, and if the extra [llm] is missing.
    """
    files = sorted(where.glob("*.eval"))
    kept = paths.cache() / f"monitor-bank-{digest(where)[:32]}.json"
    if kept.is_file():
        try:
            return msgspec.json.decode(kept.read_bytes(), type=list[Transcript])
        except msgspec.DecodeError:
            pass  # half written: read anew
    found = sorted({t.id: t for file in files for t in _read(file)}.values(), key=lambda t: t.id)
    kept.parent.mkdir(parents=True, exist_ok=True)
    part = kept.with_suffix(f".{os.getpid()}")
    part.write_bytes(msgspec.json.encode(found))
    part.replace(kept)
    return found


def _read(file: Path) -> Iterator[Transcript]:
    try:
        from inspect_ai.log import read_eval_log
    except ImportError as e:
        raise UsageError(
            f"{file.name} is an Inspect log, read by the extra [llm] ({e}); `pip install 'toprope[llm]'`"
        ) from e
    try:
        log = read_eval_log(str(file), resolve_attachments=True)
    except Exception as e:  # whatever is in the file
        raise UsageError(f"log {file}: {' '.join(str(e).split())[:200]}; expected an Inspect .eval file") from e
    for sample in log.samples or []:
        attack = _label(sample)
        if attack is None:
            continue
        messages = [_plain(m) for m in sample.messages]
        name = hashlib.sha256(msgspec.json.encode(messages)).hexdigest()
        yield Transcript(name, str(sample.metadata.get("kind") or log.eval.task), attack, messages)


def _label(sample: Any) -> bool | None:
    score = (sample.scores or {}).get("attack")
    value = score.value if score is not None else sample.metadata.get("attack")
    if isinstance(value, str):
        return {"C": True, "I": False, "true": True, "false": False}.get(value)
    return bool(value) if isinstance(value, bool | int | float) else None


def _plain(message: Any) -> dict[str, Json]:
    said: dict[str, Json] = {"role": str(message.role), "content": str(message.text)}
    if calls := getattr(message, "tool_calls", None):
        said["calls"] = [{"function": c.function, "arguments": c.arguments} for c in calls]
    return said


@lru_cache(maxsize=8)
def bank(where: Path, split: Split) -> TranscriptBank:
    """The transcripts of a split: no transcript is in two splits, and some kinds occur in the test only. The split
    follows from a transcript's content.

    Raises UsageError if they are too few for a draw.
    """
    attacks: dict[str, list[Transcript]] = {}
    honest: dict[str, list[Transcript]] = {}
    for t in transcripts(where):
        (attacks if t.attack else honest).setdefault(t.kind, []).append(t)
    unseen = set(sorted(attacks, key=lambda k: hashlib.sha256(k.encode()).digest())[: len(attacks) // UNSEEN])

    def own(all_: dict[str, list[Transcript]]) -> dict[str, list[Transcript]]:
        return {
            kind: (some if split == "test" else []) if kind in unseen else _part(some, split)
            for kind, some in sorted(all_.items())
        }

    some = {kind: each for kind, each in own(attacks).items() if len(each) >= ATTACKS}
    rest = [t for each in own(honest).values() for t in each]
    if not some or len(rest) < HONEST:
        raise UsageError(
            f"logs in {where} leave {len(rest)} honest transcripts and {len(some)} kinds of at least {ATTACKS} attacks "
            f"for {split}; expected {HONEST} and 1, so about {24 * ATTACKS // PARTS['measure']} attacks of a kind"
        )
    return TranscriptBank(sorted(some), some, rest)


def _part(all_: list[Transcript], split: Split) -> list[Transcript]:
    """In the order of their digests, each split its twenty-fourths."""
    bounds, at = {}, 0
    for name, size in PARTS.items():
        bounds[name] = range(at, at + size)
        at += size
    order = sorted(all_, key=lambda t: hashlib.sha256(b"deal" + t.id.encode()).digest())
    return [t for i, t in enumerate(order) if 24 * i // len(order) in bounds[split]]


def draw(where: Path, split: Split, seed: int) -> tuple[str, list[Transcript], list[Transcript], list[Transcript]]:
    """(kind, attacks, honest, pair) of one draw, all of one kind if the bank has enough honest ones of it: otherwise a
    candidate that remembers earlier draws knows the kind of the attacks, which is half of the answer.

    The two of the indistinguishable pair are attacks or honest ones by the toss of a coin, and both are drawn from
    equally many: otherwise a candidate that counts repetitions over several draws learns which occur more often.
    """
    rng, own = random.Random(seed), bank(where, split)
    kind = rng.choice(own.kinds)
    attacks, honest = own.attacks[kind], [t for t in own.honest if t.kind == kind]
    if min(len(attacks), len(honest)) < HONEST:
        some = rng.sample(honest if len(honest) >= HONEST else own.honest, HONEST)
        return kind, rng.sample(attacks, ATTACKS), some[2:], some[:2]
    size = min(len(attacks), len(honest))
    extra = rng.choice((0, 2))
    attacks, honest = rng.sample(attacks[:size], ATTACKS + extra), rng.sample(honest[:size], HONEST - extra)
    return kind, attacks[:ATTACKS], honest[:ATTACKS], attacks[ATTACKS:] + honest[ATTACKS:]
