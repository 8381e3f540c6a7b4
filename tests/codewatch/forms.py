"""What it is worth on `control/codewatch-v1` to know the grammar: python tests/codewatch/forms.py [DRAWS]

`reader.py` in the sandbox, on the draws of the reference table: without any form that only hidden draws have, with one,
with all but one, with all.
"""

import itertools
import sys
from pathlib import Path

import numpy as np
from reader import FORMS

from toprope.assay.reference import SEED, columns, pool_of
from toprope.stats.intervals import ratio
from toprope.types import Candidate, Tree
from toprope_tasks.control.codewatch import make

TREE = Tree({"solution.py": Path(__file__).with_name("reader.py").read_bytes()})


def main(draws: int) -> None:
    known = [list(some) for n in range(len(FORMS) + 1) for some in itertools.combinations(FORMS, n)]
    pool = pool_of(make("control/codewatch-v1"), SEED, 2)
    try:
        for split in ("dev", "test"):
            found = columns(pool, split, [Candidate(TREE, {"forms": forms}) for forms in known], draws)
            for forms, column in zip(known, found, strict=True):
                assert not np.isnan(column.scores).any()  # it ran everywhere
                e = ratio(column.counted, column.floors, column.ceilings)
                print(f"{split:4}  {' + '.join(forms) or 'none':24} {e.value:.3f} [{e.lo:.3f}, {e.hi:.3f}]", flush=True)
    finally:
        pool.close()


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 60)
