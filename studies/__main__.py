"""The command line of all studies: an option for each parameter of a study's `main`."""

from __future__ import annotations

import ast
import inspect
import sys
from importlib import import_module
from pathlib import Path
from types import NoneType
from typing import Any, Literal, NoReturn, get_args, get_origin

import click

from toprope.errors import TopropeError

HERE = Path(__file__).parent


def listed() -> dict[str, str]:
    """Name -> first line of the docstring, read without importing: some need an extra."""
    found = {}
    for path in sorted(HERE.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        defines = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        if path != Path(__file__) and "main" in defines:
            name = path.relative_to(HERE).with_suffix("").as_posix().removesuffix("/__init__")
            found[name] = (ast.get_docstring(tree) or "").partition("\n")[0]
    return found


def command(name: str) -> click.Command:
    """The study as a command; what its `main` returns is the exit code."""
    module = import_module(f"studies.{name.replace('/', '.')}")
    parameters = inspect.signature(module.main, eval_str=True).parameters.values()

    def run(**given: Any) -> None:
        try:
            sys.exit(module.main(**given))
        except TopropeError as e:
            complain(f"{name}: {e}", e.exit_code)

    help_ = "\b\n" + (module.__doc__ or "").replace("\n\n", "\n\n\b\n")
    return click.Command(name, params=[_parameter(p) for p in parameters], callback=run, help=help_)


def _parameter(p: inspect.Parameter) -> click.Parameter:
    """`int | None` takes an int, a tuple is given by repeating the option, a bool is a flag, a Literal a choice."""
    kinds = [kind for kind in get_args(p.annotation) or (p.annotation,) if kind is not NoneType]
    many, words = get_origin(p.annotation) is tuple, get_origin(p.annotation) is Literal
    kind: Any = click.Choice(kinds) if words else kinds[0]
    if p.default is p.empty:
        return click.Argument([p.name], type=kind)
    names = [f"--{p.name.replace('_', '-')}", *(["-o"] if p.name == "output" else [])]
    if kind is bool:
        return click.Option(names, is_flag=True)
    shown = not many and p.default is not None
    return click.Option([p.name, *names], type=kind, multiple=many, default=p.default, show_default=shown)


def main(name: str = "", *options: str) -> None:
    known = listed()
    if name in ("", "-h", "--help"):
        wide = max(map(len, known))
        print("\n".join(["python -m studies NAME [options]", *(f"  {n:{wide}}  {what}" for n, what in known.items())]))
    elif name in known:
        command(name).main(options, prog_name=f"python -m studies {name}")
    else:
        complain(f"study {name!r} is unknown; `python -m studies` lists all", 2)


def complain(line: str, code: int) -> NoReturn:
    print(line, file=sys.stderr)
    sys.exit(code)


if __name__ == "__main__":
    main(*sys.argv[1:])
