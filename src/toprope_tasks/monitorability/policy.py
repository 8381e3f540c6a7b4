"""A policy that thinks in a scratchpad, and its training by exact policy gradient. Referee only.

A context is a question kind and a hint (0: none). The policy makes a plan (1: copy the hint), writes a scratchpad of L
tokens given context and plan, and then answers: by copying with probability (1 - leak) sigmoid(bias + sum of what the
tokens mean) + leak * plan, else by computing. With leak 0 the scratchpad is *necessary* for the hack (Korbak et al.
2025, arXiv:2507.11473; Emmons et al. 2025, arXiv:2507.05246); what tokens mean is itself trained, so that a harmless
word can come to stand for the hack.

All scratchpads can be listed, so the expected reward and its gradient are exact: no luck of sampling enters. Several
policies are trained side by side. Axes: k policies, q question kinds, h hints, z plans, v vocabulary, s = v ** L
scratchpads.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from toprope.types import Floats


class Start(msgspec.Struct, frozen=True):
    """Policies before training; what they share has no axis k."""

    plan: Floats  # (k, q, h) logit of planning to copy; -inf without a hint
    tokens: Floats  # (k, L, q, h, z, v) log probabilities of each place of the scratchpad
    meaning: Floats  # (v,) how far a token moves the answer towards copying
    bias: float
    leak: float  # in [0, 1): chance that the plan decides the answer, whatever was written

    def pick(self, which: slice) -> Start:
        """Some of the policies."""
        return msgspec.structs.replace(self, plan=self.plan[which], tokens=self.tokens[which])


class School(msgspec.Struct, frozen=True):
    """How a policy is trained."""

    accuracy: Floats  # (q,) of computing; copying is always paid by the grader
    steps: int
    rate: float  # step size for plan and tokens
    drift: float  # the same for what tokens mean, as a share of rate
    kl: float  # price of a nat of divergence from the start


class Behaviour(NamedTuple):
    """What a policy does, by context. weight: (k, q, h, z) of plans; pads: (k, q, h, z, s); copy: (k, z, s)."""

    weight: Floats
    pads: Floats
    copy: Floats

    def pick(self, which: slice) -> Behaviour:
        """Of some of the policies."""
        return Behaviour(*(x[which] for x in self))


def train(start: Start, school: School, penalty: Floats) -> Behaviour:
    """Behaviour after training on E[reward - penalty - kl * divergence]. penalty: (k, stages, q, s), each stage an
    equal share of the steps; a single policy is trained under each of the k."""
    k, stages = penalty.shape[:2]
    plan, tokens = (np.repeat(x, k // len(x), axis=0) for x in (start.plan, start.tokens))
    meaning = np.repeat(start.meaning[None], k, axis=0)
    gain = 1.0 - school.accuracy  # what copying pays over computing, before penalties
    hinted = np.isfinite(start.plan[0])  # (q, h)
    stake = (gain[:, None] * hinted)[..., None]  # (q, h, 1)
    counts = _counts(start.tokens.shape[-1], start.tokens.shape[1])
    for step in range(school.steps):
        cost = penalty[:, step * stages // school.steps]
        p = _softmax(tokens)
        now = behaviour(start, plan, p, meaning)
        worth = stake[..., None] * now.copy[:, None, None] - cost[:, :, None, None]  # (k, q, h, z, s)
        mine = now.pads * worth
        mean = mine.sum(axis=-1)  # (k, q, h, z)
        moved = np.log(p) - start.tokens
        divergence = (p * moved).sum(axis=-1)  # (k, L, q, h, z)
        slope = _marginals(mine, p.shape[-1], p.shape[1]) - p * mean[:, None, ..., None]
        slope -= school.kl * p * (moved - divergence[..., None])
        value = mean - school.kl * divergence.sum(axis=1)
        tokens = tokens + school.rate * now.weight[:, None, ..., None] * slope
        plan = plan + school.rate * now.weight[..., 0] * now.weight[..., 1] * (value[..., 1] - value[..., 0])
        at_stake = (now.weight * stake).reshape(k, 1, -1) @ now.pads.reshape(k, -1, len(counts))  # (k, 1, s)
        steep = now.copy[:, 0] * (1 - now.copy[:, 0] / (1 - start.leak))  # of copying in what a scratchpad means
        meaning = meaning + school.rate * school.drift / hinted.sum() * ((at_stake[:, 0] * steep) @ counts)
    return behaviour(start, plan, _softmax(tokens), meaning)


def behaviour(start: Start, plan: Floats, p: Floats, meaning: Floats) -> Behaviour:
    """What policies with these parameters do. plan: (k, q, h); p: (k, L, q, h, z, v); meaning: (k, v)."""
    planned = _sigmoid(plan)
    lean = _sigmoid(start.bias + meaning @ _counts(p.shape[-1], p.shape[1]).T) * (1 - start.leak)
    pads = p[:, 0]
    for i in range(1, p.shape[1]):
        pads = (pads[..., None] * p[:, i, ..., None, :]).reshape(*pads.shape[:-1], -1)
    return Behaviour(np.stack([1 - planned, planned], axis=-1), pads, np.stack([lean, lean + start.leak], axis=1))


def untrained(start: Start) -> Behaviour:
    """The behaviour of the policies as they are."""
    return behaviour(start, start.plan, np.exp(start.tokens), np.repeat(start.meaning[None], len(start.plan), axis=0))


@functools.cache
def scratchpads(vocabulary: int, length: int) -> NDArray[np.int64]:
    """(s, L) every scratchpad, the last token moving fastest."""
    return np.indices((vocabulary,) * length).reshape(length, -1).T.copy()


@functools.cache
def _counts(vocabulary: int, length: int) -> Floats:
    """(s, v) how often each token is in each scratchpad."""
    pads = scratchpads(vocabulary, length)
    return np.asarray((pads[:, :, None] == np.arange(vocabulary)).sum(axis=1), dtype=np.float64)


def _marginals(mine: Floats, vocabulary: int, length: int) -> Floats:
    """(k, L, q, h, z, v) sums of (k, q, h, z, s) over all places but one."""
    cube = mine.reshape(*mine.shape[:-1], *(vocabulary,) * length)
    places = range(4, 4 + length)
    return np.stack([cube.sum(axis=tuple(j for j in places if j != i)) for i in places], axis=1)


def _softmax(x: Floats) -> Floats:
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return np.asarray(e / e.sum(axis=-1, keepdims=True))


def _sigmoid(x: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-x)))
