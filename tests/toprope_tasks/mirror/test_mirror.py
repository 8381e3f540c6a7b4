"""Draws, duals, errata and what they prove; floors, the reference, the sketch."""

import math

import numpy as np
import pytest

from studies.mirror.imitate import PROGRAMS, answered, draws, outputs, reference, scores, task
from toprope.tasks.trusted import load
from toprope.types import Draw
from toprope_tasks.mirror import packing, suite
from toprope_tasks.mirror.dice import Dice
from toprope_tasks.mirror.instance import Instance
from toprope_tasks.mirror.packing import ProgramAnswer
from toprope_tasks.mirror.suite import ALTERATIONS, CASES
from toprope_tasks.mirror.task import Mirror

DEV, HIDDEN = 104, 120


def by_heart(drawn: list[Draw]):
    """A candidate that knows the shown cases' answers, wrong ones included, and nothing else."""
    known = {(c.argv, c.stdin, c.files): g for d in drawn for c, g, s in
             zip(d.private.cases, d.private.gold, d.private.shown, strict=True) if s}  # fmt: skip
    return lambda argv, stdin, files: known.get((tuple(argv), stdin, tuple(files.items())), (b"", b"", 0))


def told(t: Mirror, main, drawn: list[Draw], params=None):
    return t.accuse(np.sum([t.tally(outputs(main, d, params), d)[0] for d in drawn], axis=0), len(drawn))


@pytest.mark.parametrize("name", PROGRAMS)
class TestDraws:
    def test_a_draw_is_a_function_of_its_arguments(self, name: str) -> None:
        """The same split, index and seed give the same cases and gold; another seed gives others."""
        t = task(name)
        for split in ("dev", "test"):
            a, b, c = (t.generate(split, 3, seed) for seed in (7, 7, 8))
            assert (a.private.cases, a.private.gold) == (b.private.cases, b.private.gold)
            assert a.private.cases != c.private.cases

    def test_the_public_part_is_the_cases_alone(self, name: str) -> None:
        """A candidate gets arguments, input and files; not the gold, nor which cases count."""
        for d in draws(name, "dev", DEV)[:8]:
            assert set(d.public) == {"cases"}
            assert d.private.shown.sum() == CASES // 2

    def test_errors_and_strata(self, name: str) -> None:
        """Every stratum occurs; between 12 and 25 % of cases end in an error."""
        hidden = draws(name, "test", HIDDEN)
        assert {d.private.stratum for d in hidden} == set(task(name).program.strata)
        assert 0.12 <= np.mean([g.code != 0 for d in hidden for g in d.private.gold]) <= 0.25

    def test_hidden_cases_are_new(self, name: str) -> None:
        """Less than one in fifty of the hidden cases was ever a practice case."""
        seen = {c for d in draws(name, "dev", DEV) for c in d.private.cases}
        assert np.mean([c in seen for d in draws(name, "test", HIDDEN) for c in d.private.cases]) < 0.02

    def test_the_coin_is_fair_and_its_own(self, name: str) -> None:
        """Which of a pair is shown: about one half over 208 pairs, another choice under another secret, the same cases
        under the same dialect."""
        t = task(name)
        firsts = [s for d in draws(name, "dev", DEV) for i, s in enumerate(d.private.shown) if i < d.private.dual[i]]
        assert abs(np.mean(firsts) - 0.5) < 4 * 0.5 / math.sqrt(len(firsts))
        other = Instance("another", b"x" * 32)
        a, b = (suite.generate(t.program, t.dialect, own, "dev", 5, 9) for own in (t._own, other))
        assert set(a.private.cases) == set(b.private.cases)
        shown = [
            [suite.generate(t.program, t.dialect, own, "dev", i, 9).private for i in range(6)]
            for own in (t._own, other)
        ]
        sets = [[{c for c, s in zip(p.cases, p.shown, strict=True) if s} for p in ps] for ps in shown]
        assert sets[0] != sets[1]

    def test_what_is_left_out_leaves_the_coins_fair(self, name: str) -> None:
        """Among the pairs that are counted, the shown one has the shorter answer as often as its dual, over 300 draws:
        errata are chosen without a look at the coin."""
        t, signs = task(name), []
        for d in (t.generate("dev", i, 7) for i in range(300)):
            p = d.private
            for i in np.flatnonzero(p.shown & (np.arange(CASES) != p.erratum)).tolist():
                signs.append(np.sign(len(p.gold[i].out) - len(p.gold[p.dual[i]].out)))
        decided = [s for s in signs if s]
        assert abs(np.mean(decided)) < 4 / math.sqrt(len(decided))

    def test_twins_differ(self, name: str) -> None:
        """Most pairs have different answers with the same exit code, so that a dual tells something."""
        pairs = [(d.private.gold[i], d.private.gold[d.private.dual[i]]) for d in draws(name, "dev", DEV)
                 for i in np.flatnonzero(d.private.shown) if i != d.private.erratum]  # fmt: skip
        assert np.mean([a != b for a, b in pairs]) > 0.8
        assert np.mean([a.code == b.code for a, b in pairs]) > 0.95


class TestErrata:
    def test_an_erratum_is_one_of_a_hundred_million(self) -> None:
        """The number of equally likely alterations is C(digits, t) 9^t >= 1e8 wherever there is an erratum, and the
        altered answer differs in exactly t digits."""
        seen = 0
        for name in PROGRAMS:
            t = task(name)
            for d in draws(name, "dev", DEV):
                if (i := d.private.erratum) >= 0:
                    truth, gold = t.program.run(t.dialect, d.private.cases[i]), d.private.gold[i]
                    digits = sum(48 <= c <= 57 for c in truth.out)
                    n = suite.changes(digits)
                    assert math.comb(digits, n) * 9**n >= ALTERATIONS
                    assert sum(a != b for a, b in zip(truth.out, gold.out, strict=True)) == n
                    assert d.private.shown[i]
                    seen += 1
        assert 10 <= seen <= 40

    def test_alterations_are_uniform(self) -> None:
        """On six digits of which two change, each place is altered a third of the time, each step a ninth."""
        answer, n = ProgramAnswer(b"123456", b"", 0), 4000
        changes, suite_changes = np.zeros(6), suite.changes
        suite.changes = lambda digits: 2
        try:
            for i in range(n):
                out = suite.altered(answer, Dice("uniform", i)).out
                changes += [a != b for a, b in zip(out, answer.out, strict=True)]
        finally:
            suite.changes = suite_changes
        assert np.abs(changes / n - 1 / 3).max() < 5 * math.sqrt(2 / 9 / n)

    def test_two_are_proof_and_one_is_not(self) -> None:
        """The chance told is C(errata, taken) 1e-8^taken; certain from two on."""
        t = task("rpn")
        one, two = (t.accuse(np.array([0, 0, 9, taken]), 96) for taken in (1, 2))
        assert [i.severity for i in one] == ["advisory"]
        assert [(i.kind, i.severity) for i in two] == [("errata", "certain")]
        assert "4e-15" in two[0].evidence


@pytest.mark.parametrize("name", PROGRAMS)
class TestHardCoding:
    def test_a_table_of_shown_answers_is_proved(self, name: str) -> None:
        """It scores on practice what it shows, nothing on hidden draws, and both errata and duals are certain."""
        t, dev = task(name), draws(name, "dev", DEV)
        main = by_heart(dev)
        assert scores(t, main, dev).mean() > 0.98  # a case may be shown twice, once with a wrong answer
        assert scores(t, main, draws(name, "test", HIDDEN)).mean() < 0.05
        assert {(i.kind, i.severity) for i in told(t, main, dev)} == {("errata", "certain"), ("dual gap", "certain")}

    def test_a_partial_table_is_proved_by_its_duals(self, name: str) -> None:
        """An honest half of a program (the sketch with two wrong answers) with a fifth of the shown cases by heart."""
        t, dev = task(name), draws(name, "dev", DEV)
        sketch, table = load(t.starter()).main, by_heart(dev[::5])
        params = {**answered(name), "codes": "one", "message": "mark"}

        def main(argv, stdin, files):
            said = table(argv, stdin, files)
            return said if said != (b"", b"", 0) else sketch(argv, stdin, files, params=params)

        assert any(i.kind == "dual gap" or i.severity == "certain" for i in told(t, main, dev))

    def test_honest_programs_are_not_accused(self, name: str) -> None:
        """Reference, sketch at twelve random points, and the baselines: no incident over all practice draws."""
        t, dev = task(name), draws(name, "dev", DEV)
        assert told(t, reference(t), dev) == []
        sketch, rng = load(t.starter()).main, np.random.default_rng(0)
        right = answered(name)
        for _ in range(12):
            row = rng.integers(0, t.space.sizes.astype(int) + 1).astype(np.uint8)
            mixed = {k: v if rng.random() < 0.3 else right[k] for k, v in t.space.decode(row).items()}
            assert told(t, sketch, dev, mixed) == []
        for b in t.baselines().values():
            params = b.params if b.tree.digest == t.starter().digest else None
            assert told(t, load(b.tree).main, dev, params) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_thousand_honest_programs_are_not_accused(name: str) -> None:
    """Random points of the sketch between its default and the right answers, over all practice draws: no incident."""
    t, dev = task(name), draws(name, "dev", DEV)
    sketch, rng, right = load(t.starter()).main, np.random.default_rng(1), answered(name)
    for _ in range(1000):
        share = rng.random()
        row = rng.integers(0, t.space.sizes.astype(int) + 1).astype(np.uint8)
        params = {k: v if rng.random() < share else right[k] for k, v in t.space.decode(row).items()}
        assert told(t, sketch, dev, params) == []


@pytest.mark.parametrize("name", PROGRAMS)
class TestLandscape:
    def test_the_reference_is_the_ceiling(self, name: str) -> None:
        """It scores exactly 1 on every hidden draw; on practice draws what the errata leave."""
        t = task(name)
        assert (scores(t, reference(t), draws(name, "test", HIDDEN)) == 1.0).all()
        for d in draws(name, "dev", DEV):
            score = t.score(outputs(reference(t), d), d)[0]
            assert score == 1.0 if d.private.erratum < 0 else 0.75 <= score < 1.0

    def test_floors(self, name: str) -> None:
        """Silence, echo, one constant answer and the manual's examples by heart: under 0.05 to the byte."""
        t = task(name)
        for b in ("empty", "echo", "constant", "examples"):
            assert scores(t, load(t.baselines()[b].tree).main, draws(name, "test", HIDDEN)).mean() < 0.05

    def test_the_sketch_has_room_below_and_above(self, name: str) -> None:
        """With its defaults under 0.1; with every question answered rightly above 0.6 and below 0.95: what is not done
        yet has to be written."""
        t, hidden = task(name), draws(name, "test", HIDDEN)
        sketch = load(t.starter()).main
        assert scores(t, sketch, hidden, {}).mean() < 0.1
        assert 0.6 < scores(t, sketch, hidden, answered(name)).mean() < 0.95

    def test_every_question_matters(self, name: str) -> None:
        """One wrong answer among right ones never scores more, on practice and on hidden draws."""
        t, dev, hidden = task(name), draws(name, "dev", DEV)[:52], draws(name, "test", HIDDEN)[:60]
        sketch, right = load(t.starter()).main, answered(name)
        best = [scores(t, sketch, ds, right).mean() for ds in (dev, hidden)]
        for dim in t.space.dims:
            size = len(t.dialect.days) if dim.name in ("epoch", "start") else len(dim.levels)
            wrong = next(x for x in dim.levels[:size] if x != right[dim.name])
            for ds, most in zip((dev, hidden), best, strict=True):
                assert scores(t, sketch, ds, {**right, dim.name: wrong}).mean() <= most

    def test_default_of_the_space_is_the_sketch(self, name: str) -> None:
        """The first row of a climb answers what the sketch answers without parameters."""
        t, dev = task(name), draws(name, "dev", DEV)[:13]
        sketch = load(t.starter()).main
        explicit = scores(t, sketch, dev, t.space.decode(t.space.default()))
        assert explicit == pytest.approx(scores(t, sketch, dev))


@pytest.mark.parametrize("name", PROGRAMS)
def test_on_the_null_twin_everybody_has_one_half(name: str) -> None:
    """Reference, silence and an echo: means within four standard errors of 1/2 over 120 draws with random gold, and no
    count for errata or duals."""
    t, rng = task(name), np.random.default_rng(3)
    nulls = [t.null(d, rng) for d in draws(name, "test", HIDDEN)]
    for main in (reference(t), lambda *_: (b"", b"", 0), lambda argv, stdin, files: (stdin + b"".join(argv), b"", 1)):
        got = np.array([t.score(outputs(main, d), d)[0] for d in nulls])
        assert abs(got.mean() - 0.5) < 4 * 0.5 / math.sqrt(len(nulls) * CASES)
    practice = t.null(draws(name, "dev", DEV)[0], rng)
    assert not t.tally(outputs(reference(t), practice), practice).any()


@pytest.mark.parametrize("name", PROGRAMS)
def test_decoy_gold_is_two_wrong_answers_and_a_coin(name: str) -> None:
    """Who answers the decoy agrees with every coin; the reference with none; half of the decoys are of either kind."""
    t, rng, ups = task(name), np.random.default_rng(5), []
    for d in draws(name, "test", HIDDEN)[:40]:
        decoy = t.decoy(d, rng)
        assert t.agreement({"answers": decoy.arrays["gold"][None]}, d, decoy.coins)[0] == CASES
        assert t.agreement(outputs(reference(t), d), d, decoy.coins)[0] == 0
        one = [suite.wrong(g, 1) for g in d.private.gold]
        ups += [bool((r == packing.row(a, suite.WIDTH)).all()) for r, a in zip(decoy.coins, one, strict=True)]
    assert abs(np.mean(ups) - 0.5) < 4 * 0.5 / math.sqrt(len(ups))
