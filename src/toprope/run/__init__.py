"""One run: the loop, racing, the ledger, and the session that holds the processes together."""
