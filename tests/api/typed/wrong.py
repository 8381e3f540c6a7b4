"""Mistakes that a type checker must find in a user's code: each line of `mistakes` is one."""

import toprope


def mistakes(history: toprope.RunHistory) -> None:
    a: str = history.experiments  # an int
    history.frame("excel")  # no such library
    b: float = history.measured.value  # measured may be None
    toprope.climb("testing/coin-v1", workers="2")  # an int
    print(a, b)
