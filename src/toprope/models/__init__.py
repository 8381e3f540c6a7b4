"""The language model that a task's candidates may ask: broker, limits and prices."""
