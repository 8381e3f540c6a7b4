"""Public aids for people who extend toprope: contracts as test classes, and tiny real parts.

There is a contract for tasks, climbers, executors, ledgers and sandboxes, one module each.
"""
