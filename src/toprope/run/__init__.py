"""One run: the loop, racing, attempts at the gate, and the session that holds the processes together."""
