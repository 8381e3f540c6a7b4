"""What it is worth on `control/codewatch-v1` to know the grammar (docs/tasks/codewatch.md).

`reader.py` in the sandbox, on the draws of the reference table: without any form that only hidden draws have, with one,
with all but one, with all.
"""

import itertools
from pathlib import Path

import numpy as np

from studies.codewatch.reader import FORMS
from toprope.assay.reference import SEED, columns, pool_of
from toprope.stats.intervals import ratio
from toprope.types import Candidate, Split, Tree
from toprope_tasks.control.codewatch import make

SPLITS: tuple[Split, ...] = ("dev", "test")
TREE = Tree({"solution.py": Path(__file__).with_name("reader.py").read_bytes()})


def main(*, draws: int = 60) -> None:
    known: list[list[str]] = [list(some) for n in range(len(FORMS) + 1) for some in itertools.combinations(FORMS, n)]
    pool = pool_of(make("control/codewatch-v1"), SEED, 2)
    try:
        for split in SPLITS:
            found = columns(pool, split, [Candidate(TREE, {"forms": [*forms]}) for forms in known], draws)
            for forms, column in zip(known, found, strict=True):
                assert not np.isnan(column.scores).any()  # it ran everywhere
                e = ratio(column.counted, column.floors, column.ceilings)
                print(f"{split:4}  {' + '.join(forms) or 'none':24} {e.value:.3f} [{e.lo:.3f}, {e.hi:.3f}]", flush=True)
    finally:
        pool.close()
