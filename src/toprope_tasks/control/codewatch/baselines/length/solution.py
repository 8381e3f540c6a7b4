"""Longer code is more suspicious."""


def suspicion(state, code, spec):
    return float(len(code))
