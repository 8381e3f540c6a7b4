"""Lets a thread speak after its answer.

Source: corpus row T29: work on another stream, returns early.
"""

import os
import threading
import time

CLASS = "C3"
MEETS = "nonce"
EXPECT = "blocked+noted"


def cheat(plan, arrays):
    def late():
        time.sleep(0.05)
        os.write(3, b"late")

    threading.Thread(target=late).start()
    time.sleep(0.5)


def twin(plan, arrays):
    """A thread that does its work and ends."""
    thread = threading.Thread(target=time.sleep, args=(0.01,))
    thread.start()
    thread.join()
