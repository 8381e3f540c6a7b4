"""The statistics behind a score: pure functions of numbers, without files, clocks or scipy."""
