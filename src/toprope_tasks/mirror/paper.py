"""The documents for an author: `toprope brief` writes these files, and one baseline uses the manual's examples."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from toprope.protocols import TaskSpec
from toprope.types import Draw, Tree
from toprope_tasks.mirror.packing import ProgramAnswer, ProgramCase
from toprope_tasks.mirror.programs import Example

README = """# {id}

{title}. Write `candidate/solution.py`:

    main(argv: list[bytes], stdin: bytes, files: dict[bytes, bytes]) -> (stdout: bytes, stderr: bytes, exit_code: int)

DOCS.md is the program's manual page. cases.jsonl holds {n} cases with the answers of the reference; a few of these
answers are wrong on purpose, and **the reference decides**: `toprope oracle {id}` asks it, a limited number of times.
What counts in the end are fresh cases, answered to the byte. Giving answers by heart is found out.

`python check.py` runs the cases against candidate/solution.py here (no sandbox), `toprope submit {id} candidate` in the
real one. Not allowed: {denied}. starter/ is a working sketch with open questions (its parameters); candidate/ begins as
a copy.
"""


def case_json(case: ProgramCase) -> dict[str, Any]:
    return {
        "argv": [a.decode("latin-1") for a in case.argv],
        "stdin": case.stdin.decode("latin-1"),
        "files": {name.decode("latin-1"): data.decode("latin-1") for name, data in case.files},
    }


def answer_json(answer: ProgramAnswer) -> dict[str, Any]:
    return {"stdout": answer.out.decode("latin-1"), "stderr": answer.err.decode("latin-1"), "exit_code": answer.code}


def brief(
    spec: TaskSpec, docs: str, examples: Sequence[Example], dev: Sequence[Draw], starter: Tree
) -> dict[str, bytes]:
    """File name -> content."""
    lines = [
        json.dumps(case_json(p.cases[i]) | answer_json(p.gold[i]))
        for p in (d.private for d in dev)
        for i in range(len(p.cases))
        if p.shown[i]
    ]
    denied = ", ".join(f"import {name}" for name in spec.denied_imports) or "nothing is forbidden"
    name = spec.id.split("/")[1].rpartition("-")[0]
    files = {
        "README.md": README.format(id=spec.id, title=spec.title, n=len(lines), denied=denied).encode(),
        "DOCS.md": (docs + "\n## Examples\n\n" + "\n".join(shown(name, e) for e in examples)).encode(),
        "cases.jsonl": ("\n".join(lines) + "\n").encode(),
        "check.py": (Path(__file__).parent / "starter" / "check.py").read_bytes(),
    }
    copies = ("candidate", "starter")  # the candidate in a folder of its own: the cases are larger than a candidate
    return files | {f"{copy}/{name}": data for copy in copies for name, data in starter.files.items()}


def shown(name: str, example: Example) -> str:
    """An example as a session in a shell. name: of the program."""
    case, answer = example
    parts = [f"'{a.decode()}'" if set(a) & set(b" *;$[]()\"'~`!?<>|&#") or not a else a.decode() for a in case.argv]
    typed = "".join(f"    | {line}\n" for line in case.stdin.decode().splitlines())
    said = "".join(f"    {line}\n" for text in (answer.out, answer.err) for line in text.decode().splitlines())
    code = f"    (exit code {answer.code})\n" if answer.code else ""
    return f"    $ {' '.join([name, *parts])}\n{typed}{said}{code}"


def constant(answer: ProgramAnswer) -> Tree:
    """A candidate that always gives this answer."""
    return Tree({"solution.py": f"def main(argv, stdin, files):\n    return {tuple(answer)!r}\n".encode()})


def lookup(examples: Sequence[Example]) -> Tree:
    """A candidate that answers only these examples, from a table."""
    table = {(tuple(e.case.argv), e.case.stdin): tuple(e.answer) for e in examples}
    source = f'''"""The documentation's examples by heart."""

TABLE = {table!r}


def main(argv, stdin, files):
    return TABLE.get((tuple(argv), stdin), (b"", b"", 0))
'''
    return Tree({"solution.py": source.encode()})
