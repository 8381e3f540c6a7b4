"""`proxy/reward-model-v1`: an exact optimiser, honest floors, visible over-optimisation, headroom."""

import math
from collections.abc import Mapping
from itertools import combinations

import msgspec
import numpy as np
import pytest
from draws import Draws

from toprope.errors import UsageError
from toprope.protocols import Baseline
from toprope.stats.intervals import Estimate, difference, ratio, spearman
from toprope.tasks.trusted import load, outputs
from toprope.types import Codes, Draw, Floats, Json, Split, Tree
from toprope_tasks.proxy import make
from toprope_tasks.proxy import private as world
from toprope_tasks.proxy.public import AUDITS, CHUNKS, FEATURES, LABELLERS, PAIRS, POOL
from toprope_tasks.proxy.task import RewardModel

ID = "proxy/reward-model-v1"
TASK: RewardModel = make(ID)
DEV = Draws(TASK, "dev", 5, 32)
HIDDEN = Draws(TASK, "test", 6, 32)
BASELINES = TASK.baselines()


def scores(tree: Tree, draws: list[Draw], params: Mapping[str, Json] | None = None) -> Floats:
    """(n,) score per draw."""
    return np.array([TASK.score(outputs(TASK, tree, d, params), d)[0] for d in draws])


def both_forms(draw: Draw, rows: Codes) -> tuple[Floats, Floats]:
    """(k,) scores of the starter's variants by the plain form, and by the batched one."""
    starter, each = load(TASK.starter()), [TASK.space.decode(row) for row in rows]
    extra = {name: draw.public[name] for name in ("labeller", "audit_features", "audit_gold")}
    pairs, chunks = (draw.public["chosen"], draw.public["rejected"]), np.split(draw.private.pool, CHUNKS)
    alone = [starter.fit(*pairs, params=p, rng=np.random.default_rng(3), **extra) for p in each]
    plain = [np.concatenate([starter.reward(state, chunk) for chunk in chunks]) for state in alone]
    columns = {name: np.array([p[name] for p in each]) for name in each[0]}
    states = starter.fit_batched(*pairs, params=columns, new_rng=lambda: np.random.default_rng(3), **extra)
    batched = np.concatenate([starter.reward_batched(states, chunk) for chunk in chunks], axis=1)
    return TASK.score({"rewards": np.array(plain)}, draw), TASK.score({"rewards": batched}, draw)


def some_rows(seed: int, n: int) -> Codes:
    """(n, p) random rows of the space."""
    return np.random.default_rng(seed).integers(
        0, TASK.space.sizes.astype(int) + 1, (n, len(TASK.space.dims)), np.uint8
    )


def _scores(baseline: Baseline, draws: list[Draw]) -> Floats:
    return scores(baseline.tree, draws, baseline.params)


def _value(values: Floats, draws: list[Draw]) -> Estimate:
    return ratio(values, [d.floor for d in draws], [d.ceiling for d in draws])


@pytest.fixture(scope="module")
def table() -> dict[str, dict[str, Floats]]:
    """Scores per draw of every baseline, on dev and hidden draws."""
    return {n: {"dev": _scores(b, DEV), "hidden": _scores(b, HIDDEN)} for n, b in BASELINES.items()}


class TestOptimiser:
    def test_best_of_n_is_the_mean_over_all_subsets(self) -> None:
        """Against brute force over every subset of a pool of 9, ties broken at random, n from 1 to 9."""
        rng = np.random.default_rng(0)
        for rewards in (rng.standard_normal(9), rng.integers(0, 3, 9).astype(float), np.zeros(9)):
            worth = rng.standard_normal(9)
            for n in range(1, 10):
                subsets = np.array(list(combinations(range(9), n)))
                best = rewards[subsets] == rewards[subsets].max(axis=1, keepdims=True)
                mean = ((worth[subsets] * best).sum(axis=1) / best.sum(axis=1)).mean()
                assert world.best_of(rewards[None], worth, n)[0] == pytest.approx(mean, abs=1e-12)

    def test_tilt_reaches_its_divergence(self) -> None:
        """The weights have the KL asked for within 1e-3, whatever the scale and the tails of the reward."""
        rng = np.random.default_rng(1)
        for rewards in (rng.standard_normal((3, POOL)), 1e6 * rng.standard_cauchy((3, POOL))):
            for kl in world.TILTS:
                weights = world.tilt_weights(rewards, kl)
                assert (weights * np.log(weights * POOL + 1e-300)).sum(axis=1) == pytest.approx([kl] * 3, abs=1e-3)

    def test_the_largest_numbers_are_rewards_like_others(self) -> None:
        """Rewards whose difference no double holds are tilted, tied and ranked as the same order in small numbers is:
        a candidate that answers so is scored, and does not end the run."""
        rng = np.random.default_rng(4)
        worth, small = rng.standard_normal(POOL), rng.integers(-3, 4, POOL) / 3
        assert world.score(1.7e308 * small[None], worth) == pytest.approx(world.score(small[None], worth))

    def test_no_reward_beats_gold(self) -> None:
        """Gold itself is the ceiling at every pressure: 40 perturbed rewards select no more (one draw)."""
        draw, rng = DEV[0], np.random.default_rng(2)
        gold = draw.private.gold
        others = gold + 0.3 * rng.standard_normal((40, POOL)) * rng.random((40, 1))
        assert (world.score(others, gold) <= draw.ceiling + 1e-6).all()

    def test_order_and_scale_of_the_pool_do_not_matter(self) -> None:
        """Rewards times a positive number plus a constant, or a shuffled pool, score the same."""
        gold, rng = DEV[1].private.gold, np.random.default_rng(3)
        rewards = gold + rng.standard_normal(POOL)
        shuffle = rng.permutation(POOL)
        assert world.score((7 * rewards - 3)[None], gold) == pytest.approx(world.score(rewards[None], gold), abs=1e-6)
        assert world.score(rewards[None, shuffle], gold[shuffle]) == pytest.approx(
            world.score(rewards[None], gold), abs=1e-6
        )


class TestDraws:
    def test_a_draw_is_a_function_of_its_arguments(self) -> None:
        """The same (split, index, seed) gives the same bytes; changing any one of them changes the draw."""
        same = TASK.generate("dev", 3, 5)
        assert all((same.public[k] == DEV[3].public[k]).all() for k in same.public)
        assert (same.private.pool == DEV[3].private.pool).all()
        others: list[tuple[Split, int, int]] = [("val", 3, 5), ("dev", 4, 5), ("dev", 3, 6)]
        for other in others:
            assert not (TASK.generate(*other).public["chosen"] == same.public["chosen"]).all()

    def test_public_part_holds_no_pool_and_no_gold(self) -> None:
        """The candidate starts with comparisons, labeller ids and the audits, in the shapes the documents give."""
        public = DEV[0].public
        assert {k: (v.shape, v.dtype.str[1:]) for k, v in public.items()} == {
            "chosen": ((PAIRS, FEATURES), "f4"),
            "rejected": ((PAIRS, FEATURES), "f4"),
            "labeller": ((PAIRS,), "i8"),
            "audit_features": ((AUDITS, FEATURES), "f4"),
            "audit_gold": ((AUDITS,), "f8"),
        }
        assert public["labeller"].max() < LABELLERS
        pool = {row.tobytes() for row in DEV[0].private.pool}
        assert not pool & {row.tobytes() for k in ("chosen", "rejected", "audit_features") for row in public[k]}

    def test_gold_is_standardised_and_the_gap_is_wide(self) -> None:
        """Gold has mean 0 and sd 1 over the pool; the ceiling is well above the floor in every draw."""
        for draw in DEV + HIDDEN:
            assert (draw.private.gold.mean(), draw.private.gold.std()) == pytest.approx((0.0, 1.0), abs=1e-9)
            assert draw.floor == 0.0
            assert 1.0 < draw.ceiling < 4.0

    def test_hidden_bias_is_composed_and_never_the_same(self) -> None:
        """Dev shows two shapes of taste; on hidden draws no two features of 48 draws have the same, some are gated."""
        assert {tuple(d.private.world.bend[0]) for d in DEV} == {world.LINEAR, world.SATURATING}
        assert all((d.private.world.gate == -2).all() for d in DEV)
        bends = np.concatenate([d.private.world.bend for d in HIDDEN])
        assert len(np.unique(bends, axis=0)) > 0.95 * len(bends)
        gated = np.mean([d.private.world.gate != -2 for d in HIDDEN])
        assert abs(gated - world.GATED) < 0.12

    def test_an_impression_is_the_integral_of_its_slopes(self) -> None:
        """Piecewise linear through 0: against a sum over small steps, to 1e-3."""
        rng = np.random.default_rng(0)
        bend = rng.choice(world.STEEP, (1, 6))
        for x in (-2.3, -1.0, -0.2, 0.4, 1.1, 3.0):
            grid = np.linspace(0.0, x, 20_001)
            slope = bend[0, np.searchsorted(world.KNOTS, grid, side="right") - 1]
            expected = np.sum((slope[1:] + slope[:-1]) / 2 * np.diff(grid))
            assert world.impression(np.array([[x]]), bend)[0, 0] == pytest.approx(expected, abs=1e-3)

    def test_what_labellers_disagree_about_betrays_no_part(self) -> None:
        """A probe that fits each labeller alone and ranks features by how far they agree finds content about as well as
        chance: AUC within .1 of .5. When content was worth the same to all labellers, it was .88."""
        logistic = load(TASK.starter()).blocks.logistic
        ranks = []
        for d in DEV + HIDDEN:
            gaps, labeller = (d.public["chosen"] - d.public["rejected"]).astype(float), d.public["labeller"]
            each = np.array(
                [logistic(gaps[labeller == i], np.ones(np.sum(labeller == i)), 1.0) for i in range(LABELLERS)]
            )
            spread = (each / np.linalg.norm(each, axis=1, keepdims=True)).var(axis=0)
            content = d.private.world.order < world.CONTENT
            ranks.append(np.mean(spread[content][:, None] < spread[~content]))
        assert abs(np.mean(ranks) - 0.5) < 0.1

    def test_features_betray_no_part(self) -> None:
        """Over 200 draws, tails and order carry no information on which feature is content (|correlation| < .08)."""
        worlds = [world.draw_world(np.random.default_rng(i), "dev") for i in range(200)]
        content = np.concatenate([w.order < world.CONTENT for w in worlds])
        tails = np.concatenate([w.heavy[w.order] for w in worlds])
        place = np.tile(np.arange(FEATURES), 200)
        assert abs(np.corrcoef(content, tails)[0, 1]) < 0.08
        assert abs(np.corrcoef(content, place)[0, 1]) < 0.08


@pytest.mark.slow
class TestLandscape:
    def test_null_and_shortcuts_are_at_the_floor(self, table: dict[str, dict[str, Floats]]) -> None:
        """A constant scores exactly the floor; a reward that looks at no comparison is within .03 of it."""
        for split, draws in (("dev", DEV), ("hidden", HIDDEN)):
            assert table["constant"][split] == pytest.approx(np.zeros(32), abs=1e-9)
            assert abs(_value(table["tame"][split], draws).value) < 0.03

    def test_random_and_swapped_comparisons_are_no_better_than_the_floor(self) -> None:
        """The starter fitted to shuffled winners scores within .1 of the floor; to swapped ones, below it."""
        rng, swapped, shuffled = np.random.default_rng(0), [], []
        for d in DEV:
            a, b = d.public["chosen"], d.public["rejected"]
            coin = rng.random((PAIRS, 1)) < 0.5
            swapped.append(msgspec.structs.replace(d, public={**d.public, "chosen": b, "rejected": a}))
            mixed = {"chosen": np.where(coin, a, b), "rejected": np.where(coin, b, a)}
            shuffled.append(msgspec.structs.replace(d, public={**d.public, **mixed}))
        assert abs(_value(scores(TASK.starter(), shuffled), DEV).value) < 0.1
        assert _value(scores(TASK.starter(), swapped), DEV).hi < 0

    def test_headroom(self, table: dict[str, dict[str, Floats]]) -> None:
        """The plain fit is above the floor by 3 SE and below .45; the best baseline leaves at least .3."""
        for split, draws in (("dev", DEV), ("hidden", HIDDEN)):
            plain = _value(table["bradley-terry"][split], draws)
            assert 3 * plain.se < plain.value < 0.45
            assert max(_value(t[split], draws).hi for t in table.values()) < 0.7

    def test_better_methods_are_better(self, table: dict[str, dict[str, Floats]]) -> None:
        """Correcting the preferences by the audits beats plain Bradley-Terry, with its paired interval above .03."""
        for split, draws in (("dev", DEV), ("hidden", HIDDEN)):
            gain = difference(
                table["audit-residual"][split], table["bradley-terry"][split], 0.0, [d.ceiling for d in draws]
            )
            assert gain.lo > 0.03

    def test_what_climbs_dev_climbs_hidden(self) -> None:
        """Over 12 random points of the space, dev and hidden values rank alike (Spearman > .7, interval above .3)."""
        rows = np.random.default_rng(1).integers(0, TASK.space.sizes.astype(int) + 1, (12, len(TASK.space.dims)))
        both: list[list[float]] = []
        for row in rows.astype(np.uint8):
            params: dict[str, Json] = TASK.space.decode(row)
            both.append([_value(scores(TASK.starter(), ds[:20], params), ds[:20]).value for ds in (DEV, HIDDEN)])
        rank = spearman(*np.array(both).T)
        assert rank.value > 0.7
        assert rank.lo > 0.3

    def test_over_optimisation_is_visible(self) -> None:
        """On light- and heavy-tailed hidden worlds together, the plain fit's proxy rises with every doubling of n while
        its gold turns; with gold itself as reward it never does."""
        curves = [
            world.goodhart(
                np.concatenate([outputs(TASK, TASK.starter(), d)["rewards"], d.private.gold[None]]), d.private.gold
            )
            for d in [TASK.generate("test", i, 8) for i in range(60)]
        ]
        gold = np.mean([c.gold for c in curves], axis=0)  # (2, doublings)
        proxy = np.mean([c.proxy for c in curves], axis=0)
        assert (np.diff(proxy, axis=1) > 0).all()
        assert 4 <= gold[0].argmax() <= 9  # n between 16 and 512
        assert gold[0, -1] < gold[0].max() - 0.05
        assert (np.diff(gold[1]) > 0).all()
        assert curves[0].kl[0] == 0.0
        assert curves[0].kl[-1] == pytest.approx(math.log(1024) - 1023 / 1024)


class TestBatched:
    def test_both_forms_score_alike(self) -> None:
        """64 random variants on a dev and a hidden draw: every score within the task's tolerance, not just the mean."""
        for draw in (DEV[0], HIDDEN[1]):
            plain, batched = both_forms(draw, some_rows(0, 64))
            assert batched == pytest.approx(plain, abs=TASK.spec.metric.tolerance)

    @pytest.mark.slow
    def test_a_thousand_variants_score_alike(self) -> None:
        """The mean over four draws of each of 1,000 random variants is within the tolerance."""
        each = [both_forms(d, rows) for rows in np.split(some_rows(1, 1000), 10) for d in (*DEV[:2], *HIDDEN[:2])]
        change = np.array([batched - plain for plain, batched in each]).reshape(10, 4, 100).mean(axis=1)
        assert abs(change).max() <= TASK.spec.metric.tolerance

    def test_plain_and_batched_states_are_the_same_thing(self) -> None:
        """A state that the batched form kept is answered for by the plain one, also without one of the labellers."""
        starter, rng = load(TASK.starter()), np.random.default_rng(2)
        public = {**DEV[2].public, "labeller": np.where(DEV[2].public["labeller"] == 3, 2, DEV[2].public["labeller"])}
        rows = [TASK.space.decode(row) for row in some_rows(2, 8)]
        columns = {name: np.array([p[name] for p in rows]) for name in rows[0]}
        states = starter.fit_batched(**public, params=columns, new_rng=lambda: np.random.default_rng(3))
        pool = rng.standard_normal((100, FEATURES)).astype(np.float32)
        together = starter.reward_batched(states, pool)
        assert together == pytest.approx(np.array([starter.reward(state, pool) for state in states]), abs=1e-6)
        alone = [starter.fit(**public, params=p, rng=np.random.default_rng(3)) for p in rows]
        assert together == pytest.approx(np.array([starter.reward(state, pool) for state in alone]), abs=1e-3)

    def test_ranking_for_several_sizes_is_ranking_for_each(self) -> None:
        """With ties and without: bit by bit what a stable sort for each size gives."""
        rng = np.random.default_rng(5)
        rewards = np.stack([rng.standard_normal(300), rng.integers(0, 9, 300) / 3, np.zeros(300)])
        worth = rng.standard_normal(300)
        order = np.argsort(rewards, axis=1, kind="stable")
        for n, found in zip((2, 50), world.best_of_each(rewards, worth, (2, 50)), strict=True):
            weights = np.diff(world._below(n, 300))
            assert np.array_equal(found, world.best_of(rewards, worth, n))
            assert found[0] == (worth[order] @ weights)[0]

    def test_the_guess_is_what_halving_gives(self) -> None:
        """Bit by bit, for light and heavy tails, rewards with a cap, and others that no tilt moves far enough."""
        rng = np.random.default_rng(6)
        plain = rng.standard_normal((5, POOL))
        rewards = np.concatenate([plain, np.minimum(plain, 1.5), np.minimum(plain, 0), rng.standard_cauchy((5, POOL)),
            rng.integers(0, 3, (2, POOL)), np.zeros((1, POOL))])  # fmt: skip
        r = rewards - rewards.max(axis=1, keepdims=True)
        r /= np.maximum(-r.min(axis=1, keepdims=True), 1e-300)
        for kl in world.TILTS:
            assert np.array_equal(world._guessed(r, kl), world._halved(r, kl))


class TestTask:
    def test_default_of_the_space_is_the_starter(self) -> None:
        """The first row of every climb is the unmodified starter: same scores with and without parameters."""
        draws = DEV[:4]
        explicit = scores(TASK.starter(), draws, TASK.space.decode(TASK.space.default()))
        assert explicit == pytest.approx(scores(TASK.starter(), draws))

    def test_every_level_of_the_space_runs(self) -> None:
        """Each level of each dimension, the others at a point where all blocks are on, gives finite rewards."""
        on = {"audit": 0.3, "members": 3, "pessimism": 0.5, "caution": 0.1, "labellers": "weigh", "bends": "hinges"}
        for dim in TASK.space.dims:
            for level in dim.levels:
                outputs(TASK, TASK.starter(), DEV[0], on | {dim.name: level})

    def test_missing_entry_points_are_named(self) -> None:
        """A candidate without reward is refused with the name of what is missing, before anything runs."""
        with pytest.raises(ValueError, match="does not define reward"):
            TASK.dialogue(DEV[0], frozenset({"fit"}))

    def test_unknown_id_is_refused(self) -> None:
        """The factory names what the family has."""
        with pytest.raises(UsageError, match=f"it has {ID}"):
            make("proxy/reward-model-v9")

    def test_trees_are_small_and_compile(self) -> None:
        """Every shipped candidate fits the task's size limit and defines both entry points."""
        for baseline in BASELINES.values():
            tree: Tree = baseline.tree
            assert sum(map(len, tree.files.values())) < TASK.spec.max_tree_bytes
            code = tree.files["solution.py"].decode()
            assert "def fit(" in code
            assert "def reward(" in code
