"""BLAS at one thread, as in the sandbox: on small matrices more threads only fight each other."""

import os

for library in ("OPENBLAS", "OMP", "MKL"):
    os.environ.setdefault(f"{library}_NUM_THREADS", "1")
