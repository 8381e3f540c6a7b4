"""The statistics a score rests on: pure functions of numbers, no files, no clocks, no scipy."""
