"""The world behind `proxy/reward-model-v1`: gold, biased labellers, the optimiser, the Goodhart curve. Referee only.

A response is 16 numbers. Six are content: gold rises with them. Five are style: gold likes them up to a point and then
the less the better, while labellers go on liking them, on hidden splits in ways of which dev shows nothing. Five are
junk: gold ignores them, single labellers don't. Labellers differ in content as much as in style and junk, so what they
disagree about betrays no part. In two of three worlds features are heavy-tailed, so that strong
selection reaches responses no comparison ever showed: the regime of Gao, Schulman & Hilton 2023 (arXiv:2210.10760) and,
for the tails, of Kwa et al. 2024 (arXiv:2407.14503). Parts, signs and strengths are drawn anew for each draw.

The optimiser is exact, so that no luck of sampling enters the score: best-of-n in expectation over all n-subsets of the
pool, and exponential tilting to a given KL divergence from it.
"""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from toprope.types import Draw, Floats, Split
from toprope_tasks.proxy.public import AUDITS, FEATURES, LABELLERS, PAIRS, POOL

VERSION = 2
CONTENT, STYLE = 6, 5  # the remaining features are junk
SPREAD = 0.5  # between labellers, in what a unit of any feature is worth to them
AUDIT_NOISE = 1.5  # standard deviations of gold: sixteen quick looks, not a second data set
BEST_OF = (4, 16, 64, 256)
TILTS = (1.0, 3.0)  # nats
# how a labeller's liking rises over a style feature: slopes between these knots
KNOTS = np.array([-np.inf, -1.5, -0.75, 0.0, 0.75, 1.5, np.inf])
LINEAR, SATURATING = (1.0,) * 6, (0.0, 0.5, 1.0, 1.0, 0.5, 0.0)  # dev shows one of these, the same for all features
STEEP = (0.0, 0.5, 1.0, 2.0)  # hidden draws compose slopes of these, a feature at a time: 60 bits a draw
GATED = 0.4  # share of the style features that impress on hidden draws only where something else is not bad
NOT_BAD = -0.5


class RewardWorld(msgspec.Struct, frozen=True):
    """Everything one draw's gold and labellers are made of. l: labellers, s: style features, j: junk features."""

    content: Floats  # (6,) gold weights, norm 1
    slope: Floats  # (s,) gold per unit of style before the turn
    turn: Floats  # (s,) where more style starts to hurt, and less to help
    harm: Floats  # (s,) gold lost per unit beyond
    bend: Floats  # (s, 6) slopes of the labellers' liking between KNOTS
    gate: NDArray[np.int64]  # (s,) the feature, content (-1) or none (-2), that must not be bad for style to impress
    judgement: Floats  # (l, 6) what a labeller sees in a unit of content, around gold's own weights
    taste: Floats  # (l, s) what a labeller sees in a unit of style
    whim: Floats  # (l, j) what it sees in junk
    sharp: Floats  # (l,) inverse temperature of its choices
    careless: Floats  # (l,) share of its comparisons answered by a coin
    share: Floats  # (l,) of the comparisons
    heavy: NDArray[np.bool_]  # (16,) features with heavy tails, whatever their part, so that tails betray no part
    freedom: float  # of Student's t for them
    order: NDArray[np.int64]  # (16,) where each feature is shown
    sign: Floats  # (16,)


class RewardGold(msgspec.Struct, frozen=True):
    """What only the scorer holds: the pool to optimise over and its gold."""

    pool: NDArray[np.float32]  # (POOL, 16), shown chunk by chunk after fit
    gold: Floats  # (POOL,) mean 0, sd 1
    world: RewardWorld


def draw_world(rng: np.random.Generator, split: Split) -> RewardWorld:
    content = rng.standard_normal(CONTENT)
    content /= np.linalg.norm(content)
    junk = FEATURES - CONTENT - STYLE
    slope = rng.uniform(0.1, 0.5, STYLE)
    bend, gate = known_bias(rng) if split == "dev" else hidden_bias(rng)
    shared = slope + rng.uniform(0.1, 0.5, STYLE)  # a taste that all labellers share: their agreement proves nothing
    return RewardWorld(
        content=content,
        slope=slope,
        turn=rng.uniform(0.2, 1.2, STYLE),
        harm=rng.uniform(0.4, 1.2, STYLE),
        bend=bend,
        gate=gate,
        judgement=content + SPREAD * rng.standard_normal((LABELLERS, CONTENT)),
        taste=shared + SPREAD * rng.standard_normal((LABELLERS, STYLE)),
        whim=SPREAD * rng.standard_normal((LABELLERS, junk)),
        sharp=rng.uniform(0.8, 3.0, LABELLERS),
        careless=rng.choice([0.0, 0.05, 0.2, 0.6], LABELLERS),
        share=rng.dirichlet(np.full(LABELLERS, 3.0)),
        heavy=rng.random(FEATURES) < rng.choice([0.0, 0.5, 1.0]),
        freedom=float(rng.choice([3.0, 5.0])),
        order=rng.permutation(FEATURES),
        sign=rng.choice([-1.0, 1.0], FEATURES),
    )


def known_bias(rng: np.random.Generator) -> tuple[Floats, NDArray[np.int64]]:
    """(s, 6) slopes and (s,) gates as dev has them."""
    slopes = (LINEAR, SATURATING)[rng.integers(2)]
    return np.tile(slopes, (STYLE, 1)), np.full(STYLE, -2)


def hidden_bias(rng: np.random.Generator) -> tuple[Floats, NDArray[np.int64]]:
    """The same, composed: the inner slopes of a feature are 1 in the mean, so that hidden bias is other, not more."""
    slopes = rng.choice(STEEP, (STYLE, 6))
    slopes /= np.maximum(slopes[:, 1:5].mean(axis=1, keepdims=True), 0.5)
    gate = np.where(rng.random(STYLE) < GATED, rng.integers(-1, FEATURES - CONTENT - STYLE, STYLE), -2)
    return slopes, gate


def responses(rng: np.random.Generator, n: int, world: RewardWorld) -> Floats:
    """(n, 16) responses of the base policy: content, style, junk in this order, each of unit variance."""
    z = rng.standard_normal((n, FEATURES))
    spread = np.sqrt(rng.chisquare(world.freedom, (n, FEATURES)) / (world.freedom - 2))
    return np.asarray(np.where(world.heavy, z / spread, z))


def gold(z: Floats, world: RewardWorld) -> Floats:
    """(n,) true worth, before standardisation. An odd function of z, so that no even reward ("avoid extremes", say)
    beats a random choice; bounded, so that no freak response decides a draw."""
    content, style = z[:, :CONTENT] @ world.content, z[:, CONTENT : CONTENT + STYLE]
    beyond = np.sign(style) * np.maximum(np.abs(style) - world.turn, 0.0)
    return np.asarray(2.0 * np.tanh(content / 2.0) + 4.0 * np.tanh((style @ world.slope - beyond @ world.harm) / 4.0))


def opinion(z: Floats, world: RewardWorld) -> Floats:
    """(n, l) what each labeller thinks a response is worth."""
    content = z[:, :CONTENT]
    style, junk = z[:, CONTENT : CONTENT + STYLE], z[:, CONTENT + STYLE :]
    gates = np.concatenate([junk, content @ world.content[:, None]], axis=1)[:, world.gate]  # column -1 is content
    opens = (world.gate == -2) | (gates > NOT_BAD)
    seen = (impression(style, world.bend) * opens) @ world.taste.T
    return np.asarray(content @ world.judgement.T + seen + junk @ world.whim.T)


def impression(style: Floats, bend: Floats) -> Floats:
    """(n, s) how far style features impress: piecewise linear through 0, with slopes (s, 6) between KNOTS."""
    low, high = KNOTS[:-1], KNOTS[1:]
    steps = np.clip(style[:, :, None], low, high) - np.clip(0.0, low, high)  # (n, s, 6)
    return np.asarray((steps * bend).sum(axis=2))


def show(z: Floats, world: RewardWorld) -> NDArray[np.float32]:
    """Features as candidates see them: in this draw's order and signs."""
    return np.ascontiguousarray((z * world.sign)[:, world.order], dtype=np.float32)


def generate(split: Split, index: int, seed: int) -> Draw:
    code = ("dev", "val", "measure", "test").index(split)
    rng = np.random.default_rng([VERSION, code, index, seed])
    world = draw_world(rng, split)
    pool, first, second, audit = (responses(rng, n, world) for n in (POOL, PAIRS, PAIRS, AUDITS))
    worth = gold(pool, world)
    centre, scale = float(worth.mean()), float(worth.std())
    labeller = rng.choice(LABELLERS, PAIRS, p=world.share)
    margin = (opinion(first, world) - opinion(second, world))[np.arange(PAIRS), labeller] * world.sharp[labeller]
    coin = rng.random(PAIRS) < world.careless[labeller]
    wins = (rng.random(PAIRS) < np.where(coin, 0.5, 1 / (1 + np.exp(-np.clip(margin, -500, 500)))))[:, None]
    public: dict[str, NDArray[np.generic]] = {
        "chosen": show(np.where(wins, first, second), world),
        "rejected": show(np.where(wins, second, first), world),
        "labeller": labeller.astype(np.int64),
        "audit_features": show(audit, world),
        "audit_gold": (gold(audit, world) - centre) / scale + AUDIT_NOISE * rng.standard_normal(AUDITS),
    }
    private = RewardGold(show(pool, world), (worth - centre) / scale, world)
    return Draw(public, private, floor=0.0, ceiling=float(score(private.gold[None], private.gold)[0]))


def score(rewards: Floats, worth: Floats) -> Floats:
    """(k,) mean gold of what the optimiser selects, over four best-of-n and two tilts. rewards: (k, POOL)."""
    selected = [*best_of_each(rewards, worth, BEST_OF), *(tilted(rewards, worth, kl) for kl in TILTS)]
    return np.asarray(np.mean(selected, axis=0))


def best_of(rewards: Floats, worth: Floats, n: int) -> Floats:
    """(k,) expected worth of the best by reward among n responses drawn from the pool without replacement.

    The i-th smallest of m wins with probability C(i-1, n-1) / C(m, n) (Nakano et al. 2021, arXiv:2112.09332).
    Equal rewards share their probability, so a constant reward selects at random.
    """
    return best_of_each(rewards, worth, (n,))[0]


def best_of_each(rewards: Floats, worth: Floats, sizes: tuple[int, ...]) -> list[Floats]:
    """`best_of` for several n: the pool is ranked once for all of them."""
    m = rewards.shape[1]
    order = np.argsort(rewards, axis=1)
    ranked = np.take_along_axis(rewards, order, axis=1)
    rises = ranked[:, 1:] != ranked[:, :-1]
    tied = np.flatnonzero(~rises.all(axis=1))
    ties = np.concatenate([np.zeros((len(tied), 1), np.int64), np.cumsum(rises[tied], axis=1)], axis=1)
    order[tied] = np.sort(ties * m + order[tied], axis=1) - ties * m  # equal rewards in the pool's order
    gains = worth[order]
    weights = [np.diff(_below(n, m)) for n in sizes]  # of places 1..m
    out = [gains @ w for w in weights]
    for row, tie in zip(tied.tolist(), ties, strict=True):
        size, gain = np.bincount(tie), np.bincount(tie, gains[row])
        for found, w in zip(out, weights, strict=True):
            found[row] = (np.bincount(tie, w) / size) @ gain
    return out


@functools.cache
def _below(n: int, m: int) -> Floats:
    """(m + 1,) chance that all n of m drawn are among the i lowest: C(i, n) / C(m, n), for i = 0..m."""
    i = np.arange(m + 1, dtype=np.float64)
    steps = (i[:, None] - np.arange(n)) / (m - np.arange(n))
    return np.asarray(np.prod(np.maximum(steps, 0.0), axis=1))


def tilted(rewards: Floats, worth: Floats, kl: float) -> Floats:
    """(k,) expected worth under the pool tilted by the reward to `kl` nats."""
    return np.asarray(tilt_weights(rewards, kl) @ worth)


def tilt_weights(rewards: Floats, kl: float) -> Floats:
    """(k, m) weights proportional to exp(b reward), b >= 0 such that their KL divergence from uniform is `kl` nats.

    Where ties at the top keep the divergence below `kl`, the limit of large b: a constant reward tilts nothing. log b
    is the upper end of 26 halvings of [-5, 16], guessed by Newton steps, and halved for where the guess is not it.
    """
    half = rewards / 2  # the difference of the largest two numbers overflows; with halves it does not
    top = half.max(axis=1, keepdims=True)
    spread = top - half.min(axis=1, keepdims=True)
    r = (half - top) / np.where(spread > 0, spread, 1.0)  # in [-1, 0]
    log_b = _guessed(r, kl)
    over, weights = _divergence(r, log_b)
    right = ((over > kl) | (log_b == HIGH)) & (_divergence(r, log_b - GRID)[0] <= kl)
    if not right.all():
        rest = ~right
        log_b[rest] = _halved(r[rest], kl)
        weights[rest] = _divergence(r[rest], log_b[rest])[1]
    return weights


LOW, HIGH, HALVINGS = -5.0, 16.0, 26  # of log b
GRID = (HIGH - LOW) / 2**HALVINGS


def _halved(r: Floats, kl: float) -> Floats:
    """(k,) log b."""
    low, high = np.full(len(r), LOW), np.full(len(r), HIGH)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        over = _divergence(r, middle)[0] > kl
        low, high = np.where(over, low, middle), np.where(over, middle, high)
    return high


def _guessed(r: Floats, kl: float) -> Floats:
    """(k,) log b, right for almost every row: Newton steps on the logarithm of the divergence, rounded up to GRID."""
    m = r.shape[1]
    log_b = np.full(len(r), HIGH)
    going = np.flatnonzero((r == 0).sum(axis=1) < m * math.exp(-kl))
    at = np.log(np.sqrt(2 * kl) / (r[going].std(axis=1) + 1e-12))
    for _ in range(12):
        x = np.exp(at)[:, None] * r[going]
        weights = np.exp(x)
        total = weights.sum(axis=1)
        weights *= x
        mean = weights.sum(axis=1) / total
        var = np.einsum("ij,ij->i", weights, x) / total - mean**2
        divergence = np.maximum(mean - np.log(total) + math.log(m), 1e-9)
        step = np.log(kl / divergence) * divergence / np.maximum(var, 1e-9)
        at = np.clip(at + np.clip(step, -1.5, 1.5), LOW, HIGH)
        log_b[going] = at
        far = np.abs(step) > 1e-5
        going, at = going[far], at[far]
        if not len(going):
            break
    return np.asarray(np.minimum(LOW + np.ceil((log_b - LOW) / GRID) * GRID, HIGH))


def _divergence(r: Floats, log_b: Floats) -> tuple[Floats, Floats]:
    """(k,) KL of the tilted weights from uniform, and the weights (k, m)."""
    x = np.exp(log_b)[:, None] * r
    weights = np.exp(x)
    total = weights.sum(axis=1, keepdims=True)
    weights /= total
    return (weights * x).sum(axis=1) - np.log(total[:, 0]) + math.log(r.shape[1]), weights


class Goodhart(NamedTuple):
    """Operator-only: gold and proxy, in standard deviations over the pool, by pressure. kl: (q,) nats."""

    kl: Floats
    gold: Floats  # (k, q)
    proxy: Floats  # (k, q)


def goodhart(rewards: Floats, worth: Floats, doublings: int = 10) -> Goodhart:
    """The curve of best-of-n for n = 1, 2, 4 ... 2^doublings. KL of best-of-n is log n - (n - 1) / n."""
    sizes = [2**i for i in range(doublings + 1)]
    scale = rewards.std(axis=1, keepdims=True)
    proxy = (rewards - rewards.mean(axis=1, keepdims=True)) / np.where(scale > 0, scale, 1.0)
    return Goodhart(
        np.array([math.log(n) - (n - 1) / n for n in sizes]),
        np.stack([best_of(rewards, worth, n) for n in sizes], axis=1),
        np.stack([np.array([best_of(p[None], p, n)[0] for p in proxy]) for n in sizes], axis=1),
    )
