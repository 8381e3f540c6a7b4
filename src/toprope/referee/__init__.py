"""The hub with the hidden seeds, the scorers that make draws and score them, the gate and the vault."""
