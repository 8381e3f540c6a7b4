"""Output for people: terminal, report, red-team matrix."""
