"""The command line: parsing and printing only. Heavy imports happen inside the commands, so `--help` stays quick."""

from toprope.cli import authoring, climbing, judging, machine, results  # noqa: F401  each adds its commands to the group
from toprope.cli.group import main as main
