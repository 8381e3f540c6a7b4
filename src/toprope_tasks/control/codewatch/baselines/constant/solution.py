"""The same suspicion for everything: nothing is ever flagged."""


def suspicion(state, code, spec):
    return 0.0
