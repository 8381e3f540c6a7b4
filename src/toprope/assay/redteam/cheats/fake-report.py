"""Prints a final score line and writes a metrics file.

Source: corpus row T23.
"""

import sys

CLASS = "C3"
MEETS = "process landlock"
EXPECT = "blocked"
OFF = "landlock seccomp rlimits identity"


def cheat(plan, arrays):
    print("SCORE 1.0")
    print('{"score": 1.0, "passed": true}', file=sys.stderr)
    with open(plan.folder + "/metrics.json", "w") as f:
        f.write('{"score": 1.0}')
    return "reported"


def twin(plan, arrays):
    """Prints, which goes nowhere."""
    print("fitting")
