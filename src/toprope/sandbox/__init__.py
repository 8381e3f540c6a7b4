"""Runs one dialogue with one author's variants in a protected child process. Knows no task."""
