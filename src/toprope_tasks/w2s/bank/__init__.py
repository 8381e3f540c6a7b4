"""`w2s/bank-v1`: weak-to-strong on activations of real models, from a bank in the format of `file`."""
