"""Is a task fit to be climbed? `toprope check TASK`: every figure with its limit and the reason for it.

check       what is looked at, in which order, and the null-skill twin
row         one figure with its limit
draws       draws made twice in this process; room between floor and ceiling; the cost of a draw
elsewhere   draws made in other processes, under another hash seed, time zone, locale and working directory
answers     answers without thought
candidates  the starter, baselines and probes of the user's on hidden draws, in the real scorer and sandbox
card        what the task says of itself: entries, honeypot, text that is left from the template
"""
