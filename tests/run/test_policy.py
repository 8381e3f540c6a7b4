"""Which candidates a climb sends to the gate, when, and what it makes of the answers; no process works for it here."""

from types import SimpleNamespace

import numpy as np
import pytest

from toprope.protocols import Splits
from toprope.referee.recorded import Answer
from toprope.run.attempts import CROWD
from toprope.run.finals import Gains
from toprope.run.policy import TRIES, AttemptPolicy, next_attempt
from toprope.run.race import Finalist
from toprope.space import Space, choice
from toprope.stats.intervals import Estimate
from toprope.types import Tree

EVERY, DRAWS, ALIKE = 10, 64, 0.1  # candidates that differ by less than ALIKE are alike
SPACE = Space([choice("face", list(range(100)))])
NOISE = np.random.default_rng(0).normal(0.0, 0.1, (100, DRAWS)).astype(np.float32)


def finalist(n: int, mean: float) -> Finalist:
    """A candidate of its own noise about this mean; the starter is number 0."""
    scores = (mean + NOISE[n] - NOISE[n].mean()).astype(np.float32)
    return Finalist(n, np.array([n], np.uint8), mean, scores)


class Attempts:
    """Stands for `run.attempts`: says what it was asked, promotes whom it is told to. impure: experiments that change
    when they run again."""

    def __init__(self, promoted=(), impure=()):
        self.promoted, self.impure = set(promoted), set(impure)
        self.considered, self.crowds, self.sent, self.audited, self.heard = [], [], [], [], 0
        self.answers = {}

    def consider(self, sent, crowd):
        self.considered.append(sent.experiment)
        self.crowds.append(crowd)
        clean = sent.experiment not in self.impure
        return SimpleNamespace(clean=clean, base_delay_exponent=2, about=sent, candidate=sent.candidate)

    def first_s(self, exponent):
        return 0.25 * 2**exponent

    def send(self, asked):
        self.sent.append(asked.about)

    def hear(self):
        self.heard += 1
        about = self.sent[-1]
        promoted = about.experiment in self.promoted
        measured = Estimate(0.4, 0.3, 0.5, 0.05) if promoted else None
        answer = Answer(about.candidate.id, promoted, self.heard, 1, measured)
        self.answers[about.candidate.id] = answer
        return answer

    def audit(self, candidate, scores):
        self.audited.append(candidate.params["face"])


class Fresh:
    """Finals in which all do as on dev, except the lucky ones, who lose."""

    def __init__(self, lucky):
        self.lucky, self.played, self.held = lucky, [], 0

    def hold(self, finalists, champion):
        self.held += 1
        self.played.append([f.experiment for f in finalists])
        gains = [-1.0 if f.experiment in self.lucky else float((f.scores - champion.scores).mean()) for f in finalists]
        return Gains(np.array(gains), np.full(len(gains), 0.1))


class Climb:
    """A policy with its surroundings, of which tests change the finalists and the number of experiments."""

    def __init__(self, *finalists, quarantined=(), lucky=(), fresh=True, **attempts):
        self.attempts = Attempts(**attempts)
        self.waits: list[float | None] = []
        self.race = SimpleNamespace(finalists=list(finalists), experiments=0)
        evaluator = SimpleNamespace(quarantined=set(quarantined))
        splits = Splits([4, 8], val_slice=8, measure_slice=8, test=8, attempt_every=EVERY)
        self.finals = Fresh(lucky) if fresh else None
        parts = (self.attempts, self.race, evaluator, self.finals, (Tree({"solution.py": b"x"}), SPACE), splits, ALIKE)
        self.policy = AttemptPolicy(*parts, self.waits.append)

    def barrier(self, experiments, generation=0):
        self.race.experiments = experiments
        self.policy.barrier(generation)

    @property
    def sent(self):
        return [about.experiment for about in self.attempts.sent]


STARTER, GOOD, BETTER = finalist(0, 0.1), finalist(1, 0.5), finalist(2, 0.9)


def test_one_attempt_in_so_many_experiments():
    """None before the first `attempt_every`, the best one then, and the next only as many experiments later."""
    climb = Climb(BETTER, GOOD, STARTER, promoted=[2])
    climb.barrier(EVERY - 1)
    assert climb.sent == []
    climb.barrier(EVERY)
    climb.race.finalists.insert(0, finalist(3, 2.0))
    climb.barrier(2 * EVERY - 1)
    assert climb.sent == [2]
    climb.barrier(2 * EVERY)
    assert climb.sent == [2, 3]
    assert climb.attempts.crowds == [CROWD, CROWD]  # hidden work has company during a climb


def test_an_answer_counts_when_the_next_attempt_is_due():
    """However soon it was ready: neither the speed of the hub nor the data behind it moves the climb."""
    climb = Climb(GOOD, STARTER, promoted=[1])
    climb.barrier(EVERY)
    climb.barrier(2 * EVERY - 1)
    assert (climb.attempts.heard, climb.policy.champion) == (0, STARTER)
    climb.barrier(2 * EVERY)
    assert (climb.attempts.heard, climb.policy.champion, climb.policy.promotions) == (1, GOOD, 1)
    assert climb.policy.measured == 0.4
    assert climb.attempts.audited == [1]
    (began, ended) = climb.waits
    assert began is not None and 0 <= began <= 0.25 * 2**2
    assert ended is None


def test_nothing_is_sent_while_an_answer_is_out():
    """It is heard first."""
    climb = Climb(BETTER, GOOD, STARTER)
    climb.barrier(EVERY)
    climb.barrier(2 * EVERY - 1)
    assert (climb.sent, climb.attempts.heard) == ([2], 0)
    climb.barrier(5 * EVERY)
    assert (climb.sent, climb.attempts.heard) == ([2, 1], 1)


@pytest.mark.parametrize(
    ("other", "why"),
    [
        (STARTER, "it is the champion"),
        (STARTER._replace(experiment=1, row=np.array([1], np.uint8)), "it scores the same on every draw"),
        (finalist(1, 0.0), "dev has shown it to be worse"),
    ],
    ids=lambda x: x if isinstance(x, str) else "",
)
def test_what_is_no_better_is_not_sent(other, why):
    """The starter is the champion of a run without a promotion."""
    climb = Climb(other, STARTER)
    climb.barrier(EVERY)
    assert climb.sent == [], why


def test_what_dev_has_not_shown_to_be_worse_is_sent():
    """A mean below the champion's, by less than one standard error of the paired differences."""
    below = finalist(1, 0.1)
    gain = below.scores - STARTER.scores
    less = below._replace(scores=below.scores - np.float32(0.5 * gain.std() / np.sqrt(DRAWS)))
    climb = Climb(less, STARTER)
    climb.barrier(EVERY)
    assert climb.sent == [1]


def test_who_was_caught_on_dev_is_not_sent():
    """The next one is."""
    climb = Climb(BETTER, GOOD, STARTER, quarantined=[2])
    climb.barrier(EVERY)
    assert climb.attempts.considered == [1]


def test_what_changes_when_it_runs_again_makes_room_for_the_next():
    """Up to TRIES of them, and none of these is tried a second time."""
    many = [finalist(n, 5.0 - 0.2 * n) for n in range(1, TRIES + 3)]
    climb = Climb(*many, STARTER, impure=range(1, TRIES + 2))
    climb.barrier(EVERY)
    assert (climb.attempts.considered, climb.sent) == (list(range(1, TRIES + 1)), [])
    climb.barrier(2 * EVERY)
    assert climb.attempts.considered == list(range(1, TRIES + 3))
    assert climb.sent == [TRIES + 2]


def test_attempts_become_rarer_in_a_long_climb():
    """One per `attempt_every` at first, then one per 32nd of the experiments so far: a few hundred in 10^9."""
    assert next_attempt(0, 1024) == 1024
    assert next_attempt(20_000, 1024) == 21_024
    assert next_attempt(320_000, 1024) == 330_000
    at, count = 0, 0
    while at < 10**9:
        at, count = next_attempt(at, 1024), count + 1
    assert 300 < count < 400


def test_the_finals_decide_who_goes():
    """The best on draws that nobody has seen goes first; who is shown to be worse there does not go at all."""
    climb = Climb(BETTER, GOOD, STARTER, lucky=[2])
    climb.barrier(EVERY)
    assert (climb.finals.played, climb.sent) == ([[2, 1]], [1])
    nobody = Climb(BETTER, STARTER, lucky=[2])
    nobody.barrier(EVERY)
    nobody.barrier(EVERY + 1)  # finals cost something, so the next ones wait for their turn
    assert (nobody.finals.played, nobody.sent, nobody.attempts.considered) == ([[2]], [], [])
    nobody.barrier(2 * EVERY)
    assert nobody.finals.played == [[2], [2]]


def test_a_run_of_an_earlier_format_goes_on_as_it_began():
    """Without finals, and answers are used three generations later."""
    climb = Climb(BETTER, GOOD, STARTER, fresh=False)
    climb.barrier(EVERY, 5)
    climb.barrier(2 * EVERY, 7)
    assert (climb.sent, climb.attempts.heard) == ([2], 0)
    climb.barrier(2 * EVERY, 8)
    assert (climb.sent, climb.attempts.heard) == ([2, 1], 1)


def test_what_behaves_like_a_refused_one_is_not_sent():
    """Its attempt would be wasted; one that differs by ALIKE or more is sent."""
    noise = NOISE[5] - NOISE[5].mean()
    alike = GOOD._replace(experiment=3, row=np.array([3], np.uint8), scores=GOOD.scores + noise * np.float32(0.5))
    other = GOOD._replace(experiment=4, row=np.array([4], np.uint8), scores=GOOD.scores + np.float32(1.5 * ALIKE))
    climb = Climb(GOOD, STARTER)
    climb.barrier(EVERY)
    climb.race.finalists = [alike, STARTER]
    climb.barrier(2 * EVERY)
    assert (climb.policy.promotions, climb.sent) == (0, [1])
    climb.race.finalists = [alike, other, STARTER]
    climb.barrier(2 * EVERY)
    assert climb.sent == [1, 4]


def test_the_end_hears_what_is_out_and_asks_once_more():
    """Nothing runs beside the last attempt, and its answer is waited for."""
    climb = Climb(GOOD, STARTER, promoted=[1, 2])
    climb.barrier(EVERY)
    climb.race.finalists.insert(0, BETTER)
    climb.policy.finish()
    assert (climb.sent, climb.attempts.heard) == ([1, 2], 2)
    assert climb.attempts.crowds == [CROWD, 1.0]
    assert (climb.policy.champion, climb.policy.promotions) == (BETTER, 2)


def test_an_answer_that_the_ledger_holds_is_not_asked_for_again():
    """A run that is resumed comes to the same champion without sending or waiting."""
    climb = Climb(GOOD, STARTER, promoted=[1])
    climb.barrier(EVERY)
    climb.policy.hear()
    again = Climb(GOOD, STARTER)
    again.attempts.answers = climb.attempts.answers
    again.barrier(EVERY)
    again.barrier(2 * EVERY)
    assert (again.sent, again.attempts.heard, again.waits) == ([], 0, [])
    assert again.policy.champion == GOOD
