"""The command line: parsing and printing only. Heavy imports happen inside the commands, so `--help` stays quick."""

from toprope.cli import agents, authoring, climbing, judging, machine, results, runs, scoring  # noqa: F401  they add commands
from toprope.cli.group import main as main
