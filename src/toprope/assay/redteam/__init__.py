"""The red team: scripted cheats against the real referee, each with an honest twin. Start with `corpus` and `engine`.

corpus           one file per cheat, from `cheats/` or --corpus: parsed, and climber cheats are imported only to run
engine           runs cheats on a task and collects the verdicts
candidates       a cheat as a candidate of the task, in the real scorer and sandbox
candidate_range  the scorer that these attack, with planted gold
climbers         a cheat as a climber: a strategy against a live referee
climber_range    the referee and tools that these use
"""
