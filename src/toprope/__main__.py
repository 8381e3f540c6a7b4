"""`python -m toprope` is `toprope`, wherever the scripts of an installation lie."""

from toprope.cli import main

main()
