"""Measurements that the pages under docs/ cite and that no user needs: not part of the package.

    python -m studies                 lists them
    python -m studies NAME --help     says what one measures, and its options

A study is a module here that defines `main`; the first line of its docstring stands in the list. A parameter of `main`
without a default is an argument of the command, the others are options. Run them from the root of a checkout.
"""
