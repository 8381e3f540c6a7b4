"""Suspects nobody."""


def suspicion(transcript):
    return 0.0
