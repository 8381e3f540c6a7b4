"""Modules of the standard library that only Unix has. Reading a run needs none of them, so that `report`, `show` and
`export` work on every system; candidates run on Linux only, which `sandbox.ulimits.require` says first.

Also what the environment of our processes says to BLAS and malloc.
"""

try:
    import fcntl as fcntl
    import resource as resource
except ImportError:
    fcntl = resource = None  # type: ignore[assignment]

ONE_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
KEPT_PAGES = {  # glibc keeps freed memory below these sizes: new pages for every array cost a tenth of the CPU time
    "MALLOC_MMAP_THRESHOLD_": str(2**25),
    "MALLOC_TRIM_THRESHOLD_": str(2**28),
}
