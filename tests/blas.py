"""One thread for linear algebra, as in the workers: on small matrices more of them only fight each other. Imported
before anything that imports NumPy, which reads this once."""

import os

for library in ("OPENBLAS", "OMP", "MKL"):
    os.environ.setdefault(f"{library}_NUM_THREADS", "1")
