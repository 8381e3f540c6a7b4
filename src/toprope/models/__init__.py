"""The language model that a task's candidates may ask: who asks it, within which limits, at which price."""
