"""Reimplement a command-line program from its documentation, some of its cases, and an oracle that only answers.

The MirrorCode form (Epoch AI and METR 2026, arXiv:2606.30182), in small: `programs` says what a program to imitate is,
`suite` draws its cases, `packing` carries and judges them, `instance` holds the secret, `task` puts them together.
"""
