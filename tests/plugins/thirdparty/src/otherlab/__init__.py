"""Somebody else's task, climber, executor and command for toprope."""
