"""The hub that holds what is hidden, the scorers that make draws and score, the gate and the vault."""

SCRIPTED = "scripted"  # the name of the model where the task's own script stands in for one
