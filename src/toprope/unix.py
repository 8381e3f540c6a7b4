"""Modules of the standard library that only Unix has. Reading a run needs none of them, so that `report`, `show` and
`export` work on every system; candidates run on Linux only, which `sandbox.ulimits.require` says first."""

try:
    import fcntl as fcntl
    import resource as resource
except ImportError:
    fcntl = resource = None  # type: ignore[assignment]
