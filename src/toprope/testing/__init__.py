"""Public aids for people who write tasks, climbers, sandboxes or ledgers: conformance classes and tiny real parts."""
