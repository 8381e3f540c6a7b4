"""Where the sandbox is tried: root and an ordinary user, with both tiers, with bubblewrap or user namespaces missing.

TOPROPE_CELLS=all means that every cell must run, and a missing piece is a failure; .ci/run says so. Without it, where
linux-full is missing, tests ask instead whether what the user is told about it is right.
"""

from __future__ import annotations

import functools
import os

from toprope.errors import NoProtection
from toprope.sandbox.box import Sandbox
from toprope.types import Limits

NOBODY = 65534
ALL = os.environ.get("TOPROPE_CELLS") == "all"


@functools.cache
def full() -> bool:
    """Is linux-full tested here? Where all cells must run: yes, whatever comes of it."""
    if ALL:
        return True
    try:
        Sandbox(Limits(), tier="linux-full").close()
    except NoProtection:
        return False
    return True


def best() -> str:
    """The tier that climbs of tests find themselves under."""
    return "linux-full" if full() else "linux-landlock"
