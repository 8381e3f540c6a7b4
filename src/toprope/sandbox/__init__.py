"""Runs dialogues with one author's variants in protected child processes, independent of any task."""
