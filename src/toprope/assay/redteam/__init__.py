"""The red team: scripted cheats against the real referee, each with an honest twin. Start with `corpus` and `engine`.

corpus      one file per cheat, shipped in `cheats/` or brought with --corpus: read, never imported unasked
engine      which cheats, on what, and what the answer is
candidates  a cheat as a candidate of the task: stolen or forged, in the real scorer and sandbox
climbers    a cheat as a climber: a strategy against a live referee
layers      which layer stops what, each taken away and left alone in turn
"""
