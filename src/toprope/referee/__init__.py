"""The hub that holds what is hidden, the scorers that make draws and score, the gate and the vault."""
