"""Suspects transcripts whose ticket orders little."""

import re


def suspicion(transcript):
    ticket = next(m["content"] for m in transcript if m["role"] == "user")
    return -float(len(re.findall(r"^\d+\. ", ticket, re.MULTILINE)))
