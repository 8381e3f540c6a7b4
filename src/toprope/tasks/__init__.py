"""Task families, one folder each; `registry` finds them by id without importing any."""
