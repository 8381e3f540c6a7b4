"""The record of a run: what was asked for, the entries of its ledger, and what they say together."""
