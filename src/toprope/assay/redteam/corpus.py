"""One cheat is one file: a header of constants, and functions. The header is parsed, not run.

    \"\"\"Reads the gold where it lies. (the first sentence names the cheat)

    Source: where it was seen.
    \"\"\"
    CLASS = "C2"             # C1..C10, see CLASSES
    MEETS = "landlock"       # the layers that it attacks, see LAYERS
    EXPECT = "blocked"       # how it must end; several with "|": see ENDS and FLAGS

A candidate cheat defines `cheat(plan, arrays)`, which returns what it stole or None, or `forge(answer, plan)`, which
returns the answer that replaces the honest one (inputs: `plan.arrays`), or both. `forge_bytes(answer, plan)` does the
same if an answer is (stdout, stderr, exit code). `twin(plan, arrays)` is the most similar honest act. A climber cheat
defines `climb(rig)`, which returns None or a sentence that says how it paid off, and optionally `twin(rig)`. Either may
raise an error named NotHere to say why it does not apply to a task. Optional:

    OFF = "landlock"         # candidate: layers without which it is known to succeed
    WHEN = "import"          # candidate: act while the files load instead of in the first call
    ASKS = "model"           # candidate: it needs `plan.model`, and is not run if the task allows no model
    NEEDS = "gold"           # candidate: it needs wrong gold that the task plants (`Task.decoy`), and is not run
                             # without it
    ON, WHY = "testing/…"    # climber: another task, and why the task itself cannot run the strategy
"""

from __future__ import annotations

import ast
import difflib
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import msgspec

from toprope.errors import UsageError

SHIPPED = Path(__file__).parent / "cheats"
CLASSES = {
    "C1": "evaluator tampering",
    "C2": "answer access",
    "C3": "forged results",
    "C4": "measurement gaming",
    "C5": "hard-coding",
    "C6": "feedback exfiltration",
    "C7": "seeds and selection",
    "C8": "metric gaming",
    "C9": "harness cheating",
    "C10": "protocol gaming",
}
LAYERS = {
    "landlock": "files: a read allow-list, no writing",
    "seccomp": "system calls: an allow-list, tripwires kill",
    "namespaces": "an empty root, no network, no other processes",
    "rlimits": "memory, CPU and file limits",
    "fds": "descriptors closed in the child",
    "identity": "another uid, no capabilities",
    "nonce": "a frame must carry the nonce of its round",
    "schema": "exact dtype, shape, range; finite",
    "kill": "wall clock per variant and round",
    "sealing": "inputs are sealed, read-only memory",
    "process": "no candidate code where score or gold is",
    "fork": "a fresh child for every candidate",
    "secrecy": "hidden draws from a secret, fresh for a slice",
    "metric": "null, constant and shortcut answers have no value",
    "counting": "an attempt is counted before it is evaluated",
    "burning": "a slice is burned at its first PROMOTE",
    "broker": "only the referee asks a model: checked, counted, kept",
    "finite": "a candidate that fails on any draw does not pass",
    "one-bit": "a refusal says NOT YET and nothing else",
    "schedule": "when an answer comes does not depend on hidden work",
    "spending": "alpha is spent over attempts, slices and runs",
    "honeypot": "decoys; using one is an incident",
    "purity": "a candidate is re-run in isolation before it is sent",
    "ledger": "hash-chained, append-only",
    "commitment": "secret and champion are fixed before the test",
}
ENDS = ("blocked", "rejected", "no gain")
FLAGS = ("", "+noted", "+flagged")  # no incident, an advisory one, proof
CONSTANTS = {"CLASS", "MEETS", "EXPECT", "OFF", "WHEN", "ON", "WHY", "MACHINE", "ASKS", "NEEDS"}
REQUIRED = ("CLASS", "MEETS", "EXPECT")


class Cheat(msgspec.Struct, frozen=True):
    """One file of a corpus. id: its name without .py. meets: layers. expect: allowed ends. text: the whole file."""

    id: str
    title: str
    source: str
    cls: str
    meets: tuple[str, ...]
    expect: tuple[str, ...]
    kind: Literal["candidate", "climber"]
    has_twin: bool
    text: str
    path: str
    off: tuple[str, ...] = ()
    at_import: bool = False
    on: str = ""
    why: str = ""
    machine: str = ""  # the only machine architecture that it applies to
    needs_gold: bool = False  # it applies only if a task plants wrong gold


def load(folder: Path) -> list[Cheat]:
    """Every cheat of a folder, by class, then name. Raises UsageError in one line for the first malformed file."""
    if not folder.is_dir():
        raise UsageError(f"corpus {folder} is not a directory; expected one with a .py file per cheat")
    files = sorted(p for p in folder.glob("*.py") if p.name != "__init__.py")
    if not files:
        raise UsageError(f"corpus {folder} holds no .py file; expected one per cheat (docs/redteam.md shows the form)")
    return sorted(map(read, files), key=lambda c: (int(c.cls[1:]), c.id))


def only(cheats: Iterable[Cheat], wanted: str | None) -> list[Cheat]:
    """The cheats in a comma-separated list of ids and classes; all for None. Raises UsageError for an unknown name."""
    cheats = list(cheats)
    if wanted is None:
        return cheats
    names = [name.strip() for name in wanted.split(",")]
    for name in names:
        if not any(name in (c.id, c.cls) for c in cheats):
            near = difflib.get_close_matches(name, [c.id for c in cheats], 3, 0.3) or [c.id for c in cheats[:3]]
            raise UsageError(f"--only {name}: no cheat has that id or class; near are {', '.join(near)}")
    return [c for c in cheats if c.id in names or c.cls in names]


def read(path: Path) -> Cheat:
    """Parses one file. Raises UsageError with the file, what is wrong with it and what was expected."""
    try:
        text = path.read_text(encoding="utf-8")
        tree = ast.parse(text)
    except (OSError, ValueError, SyntaxError) as e:
        raise UsageError(f"cheat {path}: cannot be read as Python: {e}") from None
    header, functions = _constants(tree, path), {n.name for n in tree.body if isinstance(n, ast.FunctionDef)}
    for name in REQUIRED:
        if not header.get(name):
            raise UsageError(f"cheat {path}: {name} is missing; expected a line like {name} = {_example(name)!r}")
    title, source = _docstring(tree, path)
    if "climb" not in functions and not functions & {"cheat", "forge"}:
        raise UsageError(f"cheat {path}: defines none of cheat, forge, climb; one of them is the cheat")
    return Cheat(
        id=path.stem,
        title=title,
        source=source,
        cls=_one_of(header["CLASS"], CLASSES, path, "CLASS"),
        meets=_known(header["MEETS"], path, "MEETS"),
        expect=_ends(header["EXPECT"], path),
        kind="climber" if "climb" in functions else "candidate",
        has_twin="twin" in functions,
        text=text,
        path=str(path),
        off=_known(header.get("OFF", ""), path, "OFF"),
        at_import=_one_of(header.get("WHEN", "call"), ("call", "import"), path, "WHEN") == "import",
        on=header.get("ON", ""),
        why=header.get("WHY", ""),
        machine=header.get("MACHINE", ""),
        needs_gold=_one_of(header.get("NEEDS", ""), ("", "gold"), path, "NEEDS") == "gold",
    )


def _constants(tree: ast.Module, path: Path) -> dict[str, str]:
    """The header: capital names of CONSTANTS, each a plain string."""
    found = {}
    for node in tree.body:
        if not (isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)):
            continue
        name = node.targets[0].id
        if name in CONSTANTS:
            value = node.value.value if isinstance(node.value, ast.Constant) else None
            if not isinstance(value, str):
                raise UsageError(
                    f"cheat {path}: {name} is not a string; expected a line like {name} = {_example(name)!r}"
                )
            found[name] = value
    return found


def _example(name: str) -> str:
    examples = {
        "CLASS": "C2",
        "EXPECT": "blocked | no gain",
        "WHEN": "import",
        "ON": "testing/coin-v1",
        "NEEDS": "gold",
    }
    return examples.get(name, "landlock seccomp")


def _docstring(tree: ast.Module, path: Path) -> tuple[str, str]:
    words = ast.get_docstring(tree) or ""
    title, _, rest = words.partition("\n")
    _, found, source = f"\n{rest}".partition("\nSource:")
    if not title or not found:
        raise UsageError(f"cheat {path}: its docstring needs a first line that names it and a line 'Source: ...'")
    return title.rstrip("."), " ".join(source.split())


def _one_of(value: str, known: Iterable[str], path: Path, name: str) -> str:
    if value not in (allowed := list(known)):
        raise UsageError(f"cheat {path}: {name} = {value!r}; expected one of {', '.join(allowed)}")
    return value


def _known(value: str, path: Path, name: str) -> tuple[str, ...]:
    return tuple(_one_of(layer, LAYERS, path, name) for layer in value.split())


def _ends(value: str, path: Path) -> tuple[str, ...]:
    ends = tuple(end.strip() for end in value.split("|"))
    allowed = [f"{end}{flag}" for end in ENDS for flag in FLAGS]
    return tuple(_one_of(end, allowed, path, "EXPECT") for end in ends)
