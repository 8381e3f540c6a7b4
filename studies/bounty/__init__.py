"""What leaks through a score: known attacks on every common way of telling one, and on our gate (docs/statistics.md).

A game of n coin-flip labels, so the true skill of any submission is one half. The attacker may query k times and then
hands in a prediction; the table says how many of the labels it has right. Whatever is above 50 % was given away.

--k: numbers of queries, separated by commas. --seeds: games averaged; one has a standard error of .5 / sqrt(n).
--campaigns: of 100,000 attempts; 20 times as many of 1,000.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numpy as np

from studies.bounty import attacks, odds
from studies.bounty.endpoints import Bits, Exact, Ladder, Noisy, OneBitGate, Rounded
from toprope.stats.tails import clopper_pearson

DIFFER = 0.5  # share of items on which two skill-less submissions differ
Game = Callable[[Bits, int, np.random.Generator], tuple[Bits, Bits]]  # labels, k, rng -> final prediction, open labels


def games(n: int) -> dict[str, list[Game]]:
    """Mechanism -> the attacks that are tried on it; the best one counts."""

    def told(endpoint: Callable[..., Exact], attack: Callable[..., Bits]) -> Game:
        return lambda labels, k, rng: (attack(endpoint(labels, rng), k, rng), labels)

    def ladder(eta: float | None, attack: Callable[..., Bits], bad: float) -> Game:
        def play(labels: Bits, k: int, rng: np.random.Generator) -> tuple[Bits, Bits]:
            start = rng.integers(0, 2, n).astype(np.int8)
            worse = np.where(rng.random(n) < bad, 1 - start, start).astype(np.int8)
            return attack(Ladder(labels, eta, worse), k, rng, worse), labels

        return play

    def gate(attack: Callable[..., Bits]) -> Game:
        def play(labels: Bits, k: int, rng: np.random.Generator) -> tuple[Bits, Bits]:
            start = rng.integers(0, 2, n).astype(np.int8)
            endpoint = OneBitGate(labels, start, rng)
            return attack(endpoint, k, rng, start), endpoint.labels

        return play

    exact = [told(lambda y, r: Exact(y), a) for a in (attacks.detecting, attacks.matched_filter)]
    return {
        "exact accuracy": exact,
        "3 decimals": [told(lambda y, r: Rounded(y, 3), a) for a in (attacks.detecting, attacks.matched_filter)],
        "2 decimals": [told(lambda y, r: Rounded(y, 2), a) for a in (attacks.edge_walk, attacks.matched_filter)],
        "Laplace noise .01": [told(lambda y, r: Noisy(y, 0.01, r), attacks.matched_filter)],
        "Laplace noise .05": [told(lambda y, r: Noisy(y, 0.05, r), attacks.matched_filter)],
        "Thresholdout, noise .01, 100 answers": [told(lambda y, r: Noisy(y, 0.01, r, 100), attacks.matched_filter)],
        "Thresholdout, noise .01, 1000 answers": [told(lambda y, r: Noisy(y, 0.01, r, 1000), attacks.matched_filter)],
        "Ladder, eta .01": [ladder(0.01, attacks.block_flips, bad) for bad in (0.0, 0.5)],
        "Ladder, eta 1/sqrt(n)": [ladder(n**-0.5, attacks.block_flips, bad) for bad in (0.0, 0.5)],
        "Ladder, parameter-free": [ladder(None, a, 0.0) for a in (attacks.single_flips, attacks.block_flips)],
        "our gate": [gate(attacks.block_flips), gate(attacks.single_flips)],
    }


def given_away(tries: list[Game], n: int, k: int, seeds: int) -> float:
    """Mean share of labels right after the attack that is best in the mean; the open labels count, not burned ones."""
    means = []
    for number, play in enumerate(tries):
        right = []
        for seed in range(seeds):
            rng = np.random.default_rng([seed, n, k, number])
            final, labels = play(rng.integers(0, 2, n).astype(np.int8), k, rng)
            right.append(float(np.mean(final == labels)))
        means.append(float(np.mean(right)))
    return max(means)


def table(n: int, ks: list[int], seeds: int) -> Iterator[str]:
    yield f"| n = {n}: % of labels given away | " + " | ".join(f"k = {k:,}" for k in ks) + " |"
    yield "|---" * (len(ks) + 1) + "|"
    for name, tries in games(n).items():
        cells = [given_away(tries, n, k, seeds) for k in ks]
        yield f"| {name} | " + " | ".join(f"{100 * c:.1f}" for c in cells) + " |"


def promises(n: int, campaigns: int) -> Iterator[str]:
    yield f"False promotions of the gate, independent candidates without skill, slice of {n}; promise 5 %"
    for k in (1_000, 100_000):
        games_ = campaigns if k > 1_000 else 20 * campaigns
        wrong = odds.direct(k, n, DIFFER, games_)
        low, high = clopper_pearson(wrong, games_)
        yield (f"  k = {k:>9,}: {wrong} of {games_} campaigns, every item simulated [{low:.3f}, {high:.3f}]; "
               f"reduced simulation {odds.false_promotion(k, n, DIFFER):.4f}")  # fmt: skip
    for k in (10**6, 10**9):
        yield f"  k = {k:>9,}: reduced simulation {odds.false_promotion(k, n, DIFFER):.4f}"


def main(*, n: int = 1000, k: str = "1000,10000,100000", seeds: int = 5, campaigns: int = 20) -> None:
    start = time.process_time()
    for line in table(n, [int(x) for x in k.split(",")], seeds):
        print(line, flush=True)
    for line in promises(n, campaigns):
        print(line, flush=True)
    print(f"CPU {time.process_time() - start:.0f} s")
