"""Public conformance classes: inherit one in your own tests and your part is held to the contract ours is held to."""
