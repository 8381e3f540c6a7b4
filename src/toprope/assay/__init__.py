"""Judging tasks, engines and runs."""
