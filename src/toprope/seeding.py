"""Seeds by name: each one is a keyed hash of a secret and a path of labels.

The dev secret comes from `--seed`. Hidden draws come from the run secret. The ledger commits to its hash before the
climb, and the secret is revealed when the test is opened, so that anyone can regenerate every draw later.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets


def derive(secret: bytes, *labels: str | int) -> int:
    """A 63-bit seed from a secret and a path of labels (HMAC-SHA256); distinct paths give independent seeds.

    Raises ValueError for a label that holds the separator, which would make two paths one.
    """
    if any("\x1f" in str(x) for x in labels):
        raise ValueError(f"labels {labels!r} hold the separator of labels")
    path = "\x1f".join(f"{type(x).__name__}:{x}" for x in labels)
    return int.from_bytes(hmac.new(secret, path.encode(), hashlib.sha256).digest()[:8], "big") >> 1


def dev_secret(seed: int) -> bytes:
    return hashlib.sha256(f"toprope dev {seed}".encode()).digest()


def run_secret(rehearsal: str | None) -> bytes:
    """32 random bytes, or the hash of a rehearsal secret; a rehearsed run certifies nothing."""
    if rehearsal is None:
        return secrets.token_bytes(32)
    return hashlib.sha256(f"toprope rehearsal {rehearsal}".encode()).digest()


def beacon_secret(secret: bytes, round_: str, value: str) -> bytes:
    """The secret of a test that also depends on a public beacon's value: nobody could know it before that round."""
    return hmac.new(secret, f"toprope beacon\x1f{round_}\x1f{value}".encode(), hashlib.sha256).digest()


def commitment(secret: bytes) -> str:
    """The hash by which the ledger's first entry commits to the run secret."""
    return hashlib.sha256(b"toprope commit" + secret).hexdigest()
