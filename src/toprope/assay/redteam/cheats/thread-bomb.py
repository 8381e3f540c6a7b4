"""Starts threads without limit, to use the cores of others.

Source: corpus row T33; sandbox research: a thread bomb stops at the address space.
"""

import threading
import time

CLASS = "C4"
MEETS = "rlimits kill"
EXPECT = "blocked"


def cheat(plan, arrays):
    while True:
        threading.Thread(target=time.sleep, args=(600,), daemon=True).start()


def twin(plan, arrays):
    """Four threads that end."""
    threads = [threading.Thread(target=time.sleep, args=(0.01,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
