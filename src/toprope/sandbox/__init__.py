"""Runs one dialogue in a child that can reach nothing. Knows no task, no score and no secret."""
