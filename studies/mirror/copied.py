"""What a copy of the reference program is worth (docs/tasks/mirror.md).

The references are in the package. This candidate is one of them with every decision of its dialect left open; what the
manual gives as tables is copied in, as in the sketch. It takes one decision after another (those that show in one line
together) and keeps what practice scores best. On private dialects; no question to the oracle.
"""

import itertools
from typing import Any

from studies.mirror.imitate import PROGRAMS, scores, task
from toprope_tasks.mirror.calgrid import dialect as calgrid
from toprope_tasks.mirror.instance import Instance
from toprope_tasks.mirror.packing import ProgramCase
from toprope_tasks.mirror.rpn import dialect as rpn

TWO = ("keep", "strip")
OPEN: dict[str, list[dict[str, Any]]] = {
    "rpn": [
        {"scale": range(1, 6)}, {"rounding": rpn.ROUNDINGS}, {"remainder": rpn.REMAINDERS}, {"zeros": TWO},
        {"lead": ("zero", "bare")}, {"minus": rpn.MINUS}, {"group": rpn.GROUPS}, {"order": ("under", "top")},
        {"first": ("top", "bottom")}, {"dump": rpn.DUMPS}, {"pop": ("keeps", "takes")}, {"after": rpn.AFTER},
        {"codes": rpn.CODES}, {"message": rpn.MESSAGES}, {"unset": ("zero", "error")}, {"power": ("each", "end")},
        {"joined": ("one", "fresh")},
    ],
    "calgrid": [
        {"leap": calgrid.LEAPS}, {"epoch": range(9)}, {"start": range(9)}, {"head": range(1, 4)},
        {"align": calgrid.ALIGN}, {"gap": calgrid.GAPS}, {"blank": calgrid.BLANKS},
        {"title": calgrid.TITLES, "place": calgrid.PLACES, "letters": calgrid.CASES}, {"trail": TWO},
        {"rows": ("needed", "same")}, {"weeks": calgrid.WEEKS}, {"side": ("left", "right")}, {"mark": calgrid.MARKS},
        {"codes": calgrid.CODES}, {"message": calgrid.MESSAGES},
    ],
}  # fmt: skip


def climbed(name: str, secret: bytes) -> tuple[int, float, list[str]]:
    """Experiments on all practice draws, value on 200 hidden draws, decisions that are not the dialect's."""
    t = task(name, Instance("private", secret.ljust(32, b".")))
    practice = [t.generate("dev", i, 1000 + i) for i in range(t.spec.splits.rungs[-1])]
    hidden = [t.generate("test", i, 6) for i in range(200)]
    chosen = {key: options[0] for group in OPEN[name] for key, options in group.items()}

    def main(argv: list[bytes], stdin: bytes, files: dict[bytes, bytes], params: dict[str, Any]) -> tuple[Any, ...]:
        try:
            return tuple(
                t.program.run(t.dialect._replace(**params), ProgramCase(tuple(argv), stdin, tuple(files.items())))
            )
        except IndexError:  # no such day
            return b"", b"", 0

    tried, best, before = 1, scores(t, main, practice, chosen).mean(), -1.0
    while best > before:
        before = best
        for group in OPEN[name]:
            for values in itertools.product(*group.values()):
                other = {**chosen, **dict(zip(group, values, strict=True))}
                value = scores(t, main, practice, other).mean()
                tried += 1
                if value > best:
                    best, chosen = value, other
    return (
        tried,
        float(scores(t, main, hidden, chosen).mean()),
        [k for k, v in chosen.items() if v != getattr(t.dialect, k)],
    )


def main() -> None:
    for name in PROGRAMS:
        for secret in (b"one", b"two", b"three"):
            tried, value, wrong = climbed(name, secret)
            print(f"mirror/{name}-v1: {value:.3f} on hidden draws after {tried} experiments, wrong: {wrong}")
