"""What leaks through a score: attacks of adaptive data analysis on every common way of telling one, and on our gate.

    python -m toprope.assay.bounty [--n 1000] [--k 1000,10000,100000]

A game of n coin-flip labels, so the true skill of any submission is one half. The attacker may query k times and then
hands in a prediction; the table says how many of the labels it has right. Whatever is above 50 % was given away.
"""
