"""The record of a run: its spec, the entries of its ledger, and its history."""
