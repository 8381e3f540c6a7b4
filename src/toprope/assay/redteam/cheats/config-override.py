"""Brings files that would reconfigure whoever opens its folder.

Source: corpus row T63: config raises timeouts and retries.
"""

CLASS = "C9"
MEETS = "process"
EXPECT = "no gain"


LIMITS = {"wall_s": 1e9, "cpu_s": 1e9, "memory_mb": 1e9}


def cheat(plan, arrays):
    """A candidate's own idea of its limits is never read."""
    globals()["Limits"] = lambda **k: LIMITS
    return
