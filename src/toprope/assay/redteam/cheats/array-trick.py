"""Answers an object that ends the process when it is converted.

Source: corpus row T05.
"""

CLASS = "C3"
MEETS = "process"
EXPECT = "blocked"


class Trick:
    dtype = "f8"

    def __array__(self, *a, **k):
        raise SystemExit(0)


def forge(answer, plan):
    return (Trick(),) * len(answer) if isinstance(answer, tuple) else Trick()


class Bytes(bytes):
    def __len__(self):
        raise SystemExit(0)


def forge_bytes(answer, plan):
    return Bytes(), Bytes(), 0
