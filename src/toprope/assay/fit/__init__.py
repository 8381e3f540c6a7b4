"""`toprope check TASK`: whether a task is fit to be climbed, as figures with limits and reasons.

check       the order of the checks, and the null-skill twin
row         one figure with its limit
draws       draws made twice in this process; the gap between floor and ceiling; the cost of a draw
elsewhere   draws made in other processes, with another hash seed, time zone, locale and working directory
answers     answers that ignore the draw
candidates  the starter, baselines and the user's probes on hidden draws, in the real scorer and sandbox
conditions  parameters of the space that should have no effect at a point
card        what the task declares: entries, honeypot, text left over from the template
"""
