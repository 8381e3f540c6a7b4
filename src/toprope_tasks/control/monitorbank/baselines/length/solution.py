"""Suspects long transcripts."""


def suspicion(transcript):
    return float(len(transcript))
