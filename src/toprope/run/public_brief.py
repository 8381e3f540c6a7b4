"""For people who write candidates by hand: the public part of a task as files, and its oracle's answers.

The oracle runs under the user who asks, in a process with limits of its own (`referee/program.py`). Its answers are
counted and logged. An author with a shell as this user can get around that; `toprope referee` prevents it.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from toprope import seeding
from toprope.errors import UsageError
from toprope.protocols import imitation
from toprope.referee.draws import practice
from toprope.referee.program import Cost, ReferenceProcess
from toprope.referee.vault import Vault
from toprope.tasks import registry

QUERIES = 2000  # answers of the oracle per task and vault, over all runs
MOST_WORDS, MOST_BYTES = 32, 1 << 12  # of a question
QUESTIONS, ANSWER_BYTES, ANSWER_S = 500, 4 << 20, 600.0  # of one author in one run, over all sessions


def brief(task_id: str, directory: Path, seed: int) -> dict[str, Any]:
    """Writes the files of the task's public part. Raises UsageError for a task that has none, and for a directory that
    is not empty."""
    task = registry.load(task_id)
    if not imitation(task):
        raise UsageError(f"task {task_id} has no brief; its page in docs/tasks says what a candidate sees")
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise UsageError(f"{directory} exists and is not an empty directory; name a new one")
    files = task.brief(practice(task, seeding.dev_secret(seed)))
    for name, data in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    label, name = (task.secret.label, task.secret.name) if task.secret is not None else ("", "")
    return {"directory": str(directory), "files": sorted(files), "hidden": name, "secret": label}


def oracle(task_id: str, lines: Iterable[str], vault: Path) -> Iterator[dict[str, Any]]:
    """An answer for each line of JSON {"argv", "stdin", "files"}; {"error"} for a malformed line, which is not counted.
    "ended" in an answer says why the program was stopped. Raises UsageError for a task without an oracle, and when
    QUERIES is reached."""
    for answer, _ in counted(task_id, lines, vault):
        yield answer


def counted(task_id: str, lines: Iterable[str], vault: Path) -> Iterator[tuple[dict[str, Any], Cost]]:
    """Like `oracle`, with the cost of each answer."""
    task = registry.load(task_id, vault)
    if not imitation(task):
        raise UsageError(f"task {task_id} has no oracle; a task that imitates a program has one")
    secret = task.secret.name if task.secret is not None else ""
    with contextlib.closing(Vault(vault)) as sealed, ReferenceProcess(task_id, vault) as program:
        for line in lines:
            try:
                question = _question(line)
            except ValueError as e:
                expected = '{"argv": [text], "stdin": text, "files": {name: text}}'
                yield {"error": f"{e}; expected {expected}"}, Cost(0, 0.0)
                continue
            left = sealed.query(task_id, secret, line.encode("utf-8", "replace"), QUERIES)
            answer, cost = _answered(program, *question)
            yield {**answer, "queries_left": left}, cost


def allowed(author: str, questions: int, spent: Cost) -> None:
    """Raises UsageError for an author that has used up its share of the oracle. questions, spent: so far."""
    for had, most, unit in (
        (questions, QUESTIONS, "answers"),
        (spent.bytes, ANSWER_BYTES, "bytes of answers"),
        (spent.seconds, ANSWER_S, "s of answers"),
    ):
        if had >= most:
            raise UsageError(f"author {author} has had {had:.0f} {unit} of the oracle, and may have at most {most:.0f}")


def _question(line: str) -> tuple[list[bytes], bytes, dict[bytes, bytes]]:
    """Argument list, standard input and files of one line. Each character of the text stands for one byte. Raises
    ValueError for a malformed question."""
    if len(line) > 2 * MOST_BYTES:
        raise ValueError(f"a question of {len(line)} characters")
    try:
        asked = json.loads(line)
    except RecursionError:
        raise ValueError("nested too deep") from None
    if not isinstance(asked, dict) or set(asked) - {"argv", "stdin", "files"}:
        raise ValueError("not a question")
    argv, stdin, files = asked.get("argv", []), asked.get("stdin", ""), asked.get("files", {})
    if not isinstance(argv, list) or not isinstance(files, dict) or len(argv) + len(files) > MOST_WORDS:
        raise ValueError(f"more than {MOST_WORDS} arguments and files, or a value of another type")
    if not all(isinstance(x, str) for x in (*argv, stdin, *files, *files.values())):
        raise ValueError("a value that is not a string")
    named = {name.encode("latin-1"): data.encode("latin-1") for name, data in files.items()}
    return [a.encode("latin-1") for a in argv], stdin.encode("latin-1"), named


def _answered(
    program: ReferenceProcess, argv: list[bytes], stdin: bytes, files: dict[bytes, bytes]
) -> tuple[dict[str, Any], Cost]:
    said, cost = program.query(argv, stdin, files)
    told = {"stdout": said.out.decode("latin-1"), "stderr": said.err.decode("latin-1"), "exit_code": said.code}
    return {**told, **({"ended": f"the program was ended: {said.ended}"} if said.ended else {})}, cost
