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
    equal share of the steps; a single policy is trained under each of the k.

    Expectations are taken place by place: of a token's worth over all that the other places may hold. So what is listed
    by scratchpad has no axes h and z.
    """
    k, stages, q = penalty.shape[:3]
    vocabulary, length = start.tokens.shape[-1], start.tokens.shape[1]
    plan, tokens = (np.repeat(x, k // len(x), axis=0) for x in (start.plan, start.tokens))
    meaning = np.repeat(start.meaning[None], k, axis=0)
    gain = 1.0 - school.accuracy  # what copying pays over computing, before penalties
    hinted = np.isfinite(start.plan[0])  # (q, h)
    stake = (gain[:, None] * hinted)[..., None]  # (q, h, 1)
    counts = _counts(vocabulary, length)
    costs = [_by_token(penalty, i, vocabulary, length) for i in range(length)]
    for step in range(school.steps):
        p = _softmax(tokens)
        planned = _sigmoid(plan)
        weight = np.stack([1 - planned, planned], axis=-1)  # (k, q, h, z)
        lean = _lean(start, meaning, counts)
        worth = np.empty_like(p)  # (k, L, q, h, z, v) of a token
        for i in range(length):
            others = _others(p, i)  # (k, q, h, z, r)
            copied = (others.reshape(k, -1, others.shape[-1]) @ _by_token(lean, i, vocabulary, length)).reshape(
                p[:, i].shape
            )
            copied[..., 1, :] += start.leak
            paid = others.reshape(k, q, -1, others.shape[-1]) @ costs[i][:, step * stages // school.steps]
            worth[:, i] = stake[..., None] * copied - paid.reshape(copied.shape)
        mean = (p[:, 0] * worth[:, 0]).sum(axis=-1)  # (k, q, h, z)
        moved = np.log(p) - start.tokens
        divergence = (p * moved).sum(axis=-1)  # (k, L, q, h, z)
        slope = p * (worth - mean[:, None, ..., None] - school.kl * (moved - divergence[..., None]))
        value = mean - school.kl * divergence.sum(axis=1)
        tokens = tokens + school.rate * weight[:, None, ..., None] * slope
        plan = plan + school.rate * weight[..., 0] * weight[..., 1] * (value[..., 1] - value[..., 0])
        first = ((weight * stake)[..., None] * p[:, 0]).reshape(k, -1, vocabulary)
        at_stake = (first.swapaxes(1, 2) @ _others(p, 0).reshape(k, first.shape[1], -1)).reshape(k, -1)  # (k, s)
        steep = lean * (1 - lean / (1 - start.leak))  # of copying in what a scratchpad means
        meaning = meaning + school.rate * school.drift / hinted.sum() * ((at_stake * steep) @ counts)
    return behaviour(start, plan, _softmax(tokens), meaning)


def _others(p: Floats, place: int) -> Floats:
    """(k, q, h, z, r) probabilities of what all places but one hold. p: (k, L, q, h, z, v)."""
    rest = [p[:, i] for i in range(p.shape[1]) if i != place]
    return np.asarray(functools.reduce(_joint, rest))


def _joint(p: Floats, after: Floats) -> Floats:
    """(..., a b) of (..., a) and (..., b), the last moving fastest."""
    return np.asarray((p[..., None] * after[..., None, :]).reshape(*p.shape[:-1], -1))


def _by_token(x: Floats, place: int, vocabulary: int, length: int) -> Floats:
    """(..., r, v) of (..., s): by what the other places hold, and by the token in this place."""
    cube = x.reshape(*x.shape[:-1], *(vocabulary,) * length)
    return np.moveaxis(cube, x.ndim - 1 + place, -1).reshape(*x.shape[:-1], -1, vocabulary)


def _lean(start: Start, meaning: Floats, counts: Floats) -> Floats:
    """(k, s) chance of copying after a scratchpad, for a plan to compute."""
    return _sigmoid(start.bias + meaning @ counts.T) * (1 - start.leak)


def behaviour(start: Start, plan: Floats, p: Floats, meaning: Floats) -> Behaviour:
    """What policies with these parameters do. plan: (k, q, h); p: (k, L, q, h, z, v); meaning: (k, v)."""
    planned = _sigmoid(plan)
    lean = _lean(start, meaning, _counts(p.shape[-1], p.shape[1]))
    pads = functools.reduce(_joint, [p[:, i] for i in range(p.shape[1])])
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


def _softmax(x: Floats) -> Floats:
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return np.asarray(e / e.sum(axis=-1, keepdims=True))


def _sigmoid(x: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-x)))
