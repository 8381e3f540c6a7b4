"""Draws, dialogues, scores, cells and the registry."""

import subprocess
import sys
from collections import Counter

import numpy as np
import pytest

from studies.w2s.simulated import accuracies
from toprope.errors import UsageError
from toprope.stats.intervals import ratio
from toprope.tasks import registry
from toprope.tasks.trusted import load
from toprope.types import Round
from toprope_tasks.w2s import cells, draws
from toprope_tasks.w2s import task as module
from toprope_tasks.w2s.task import WeakToStrong

VANILLA: dict = {}
LOGCONF_L2 = {"rule": "logconf", "rounds": 5, "l2": 0.03}


def converse(dialogue, answer):
    """Play the engine: pass every round to `answer`, return what the dialogue returns."""
    request = next(dialogue)
    while True:
        try:
            request = dialogue.send(answer(request))
        except StopIteration as end:
            return end.value


def test_generate_is_pure(task, dev):
    """The same (split, index, seed) gives the same bytes; another index or seed gives others."""
    again, other = task.generate("dev", 3, 1), task.generate("dev", 3, 2)
    for name, array in dev[3].public.items():
        assert array.dtype == np.float32
        assert array.tobytes() == again.public[name].tobytes()
    assert dev[3].floor == again.floor
    assert dev[3].public["pool_features"].tobytes() != other.public["pool_features"].tobytes()


def test_what_a_candidate_sees(dev):
    """Features (1000, 64), weak probabilities in [0, 1], margins in eighths of [-1, 1], and nothing else."""
    for draw in dev:
        assert set(draw.public) == {"pool_features", "pool_weak_probs", "margins"}
        assert draw.public["pool_features"].shape == (draws.POOL, draws.OUT)
        assert 0 <= draw.public["pool_weak_probs"].min() <= draw.public["pool_weak_probs"].max() <= 1
        assert len(np.unique(draw.public["margins"])) == draws.MARGIN_LEVELS


def test_prior_varies_and_is_the_same_in_pool_and_test(dev):
    """The share of class 1 lies in [.35, .65], differs between draws, and is equal in pool and test."""
    shares = [draw.private.test_labels.mean() for draw in dev]
    assert min(shares) >= 0.349
    assert max(shares) <= 0.651
    assert np.std(shares) > 0.03
    assert all(draw.private.pool_labels.mean() == share for draw, share in zip(dev, shares, strict=True))


def test_labels_are_shuffled(dev):
    """Row order says nothing: the first and second half of every test set hold class 1 about equally often."""
    for draw in dev:
        half = len(draw.private.test_labels) // 2
        assert abs(draw.private.test_labels[:half].mean() - draw.private.test_labels[half:].mean()) < 0.13


def test_gold_pool_and_test_share_no_prompt_row(task):
    """Rows of gold, pool and test are disjoint."""
    sampler = draws.Sampler(task._samplers[module.VISIBLE[0]].bank)
    rows, labels = sampler._sample(
        cells.Cell("01236789", "set 345", 500), (500, 1000, 1000), 0.4, np.random.default_rng(0)
    )
    assert len(np.unique(np.concatenate(rows))) == 2500
    for part, label in zip(rows, labels, strict=True):
        bank = sampler.bank
        assert np.array_equal(cells.holds("set 345", bank.answers[part], np.asarray(bank.digits)[part]), label)


def test_a_decoy_agrees_with_its_coins_only(task, dev):
    """Planted labels used as targets or as predictions agree with every coin, gold itself with about half of them."""
    decoy = task.decoy(dev[0], np.random.default_rng(0))
    gold = dev[0].private
    shown = np.empty_like(decoy.arrays["test_labels"])
    shown[gold.chunks] = decoy.arrays["test_labels"]
    for outputs in (
        {"soft_targets": np.stack([decoy.arrays["pool_labels"], gold.pool_labels])},
        {"p": np.stack([shown, gold.test_labels])},
    ):
        hits, n = task.agreement(outputs, dev[0], decoy.coins)
        assert hits[0] == n > 300
        assert abs(hits[1] - n / 2) < 4 * np.sqrt(n) / 2
    assert 0.6 < np.mean(decoy.arrays["pool_labels"] == (dev[0].public["pool_weak_probs"] > 0.5)) < 0.95


def test_anchors_leave_a_gap(dev):
    """Weak below ceiling by at least .05 in every draw and .12 on average; the weak teacher beats .6."""
    gaps = np.array([draw.ceiling - draw.floor for draw in dev])
    assert gaps.min() > 0.05
    assert gaps.mean() > 0.12
    assert min(draw.floor for draw in dev) > 0.6


def test_dev_visits_every_cell_once(task):
    """52 dev draws are the 52 admitted visible cells, the first four of four different concepts and operations."""
    visible = cells.admitted("standard", "visible")
    assert len(visible) == task.spec.splits.rungs[-1] == len(set(visible))
    assert len({c.concept for c in visible[:4]}) == len({c.ops for c in visible[:4]}) == 4
    assert [task.generate("dev", i, 9).private.about for i in (0, 5)] == [visible[0].name, visible[5].name]


def test_no_hidden_cell_is_a_visible_one():
    """Hidden operations and concepts are disjoint from the visible ones of either tier."""
    for tier in ("standard", "hard"):
        for other in ("standard", "hard"):
            hidden, visible = cells.admitted(tier, "hidden"), cells.admitted(other, "visible")
            assert not {c.concept for c in hidden} & {c.concept for c in visible}
            assert not {c.ops for c in hidden} & {c.ops for c in visible}


@pytest.mark.slow
def test_hidden_splits_sample_cells_at_random(task):
    """Twelve hidden draws come from many cells, and val and test differ at the same index and seed."""
    found = Counter(task.generate("val", i, 5).private.about for i in range(12))
    assert len(found) >= 8
    val, test = (task.generate(split, 0, 5).public["pool_features"] for split in ("val", "test"))
    assert val.tobytes() != test.tobytes()


def test_targets_dialogue_scores_a_block_as_each_alone(task, dev):
    """A block of two variants through the dialogue scores the first as it scores alone."""
    answers = [load(task.starter()).targets, lambda x, w, **_: (1 - np.round(w), np.ones_like(w))]

    def answer(request):
        assert isinstance(request, Round)
        (call,) = request.calls
        args = [dev[0].public[name] for name in call.args]
        extra = {name: dev[0].public[name] for name in call.kwargs}
        both = [f(*args, params={}, rng=np.random.default_rng(0), **extra) for f in answers]
        return {a.name: np.stack([out[i] for out in both]) for i, a in enumerate(call.returns)}

    scores = task.score(converse(task.dialogue(dev[0], frozenset({"targets", "helper"})), answer), dev[0])
    assert scores.shape == (2,)
    assert scores[0] == accuracies(task, dev[:1], VANILLA)[0]
    assert scores[1] < 0.5


def test_fit_predict_sees_test_rows_only_in_shuffled_chunks(task, dev):
    """Rows arrive 125 at a time after `fit`, and answers find their way back: an oracle on the rows scores 1."""
    gold = dev[0].private
    table = {row.tobytes(): label for row, label in zip(gold.test_features, gold.test_labels, strict=True)}
    seen = []

    def answer(request):
        (call,) = request.calls
        if call.fn == "fit":
            assert call.keep == "state"
            assert not request.arrays
            return {}
        rows = request.arrays["rows"]
        assert call.returns[0].shape == (len(rows),) == (125,)
        right = np.array([table[row.tobytes()] for row in rows], np.float32)
        seen.append(right)
        return {"p": np.stack([right, 1 - right])}

    outputs = converse(task.dialogue(dev[0], frozenset({"fit", "predict"})), answer)
    assert task.score(outputs, dev[0]).tolist() == [1.0, 0.0]
    assert not np.array_equal(np.concatenate(seen), gold.test_labels)


@pytest.mark.parametrize("entries", [set(), {"fit"}, {"predict", "act"}])
def test_missing_entry_points_are_named(task, dev, entries):
    """Without `targets` or `fit` and `predict` the dialogue says what is needed."""
    with pytest.raises(ValueError, match="expected `targets`, or `fit` and `predict`"):
        task.dialogue(dev[0], frozenset(entries))


def test_all_zero_weights_are_scored_not_crashed(task, dev):
    """A variant whose weights are all zero is trained as if they were equal."""
    t = (dev[0].public["pool_weak_probs"] > 0.5).astype(np.float32)[None]
    scores = [task.score({"soft_targets": t, "weights": np.full(t.shape, u, np.float32)}, dev[0]) for u in (0, 1)]
    assert scores[0] == scores[1]


def test_order_of_methods(task, dev):
    """On twelve dev draws vanilla lies above the teacher, logconf + L2 well above it, and none reaches the ceiling."""
    floors, ceilings = [d.floor for d in dev], [d.ceiling for d in dev]
    vanilla, best = (ratio(accuracies(task, dev, p), floors, ceilings).value for p in (VANILLA, LOGCONF_L2))
    assert 0.05 < vanilla < 0.35
    assert vanilla + 0.1 < best < 0.9


@pytest.mark.parametrize("tier", [pytest.param("hard", marks=pytest.mark.slow), "runs"])
def test_other_tiers_make_draws(cache_of_states, tier):
    """The hard and runs tiers give draws on both sides; runs clear their weak level and gap."""
    task = WeakToStrong(f"w2s/probe-{tier}-v1", lines_per_op=4000)
    for split in ("dev", "measure"):
        draw = task.generate(split, 0, 1)
        assert draw.ceiling > draw.floor
        if tier == "runs":
            assert draw.floor >= module.RUN_WEAK
            assert draw.ceiling - draw.floor >= module.RUN_GAP


def test_hidden_weights_are_named(cache_of_states, tmp_path, monkeypatch):
    """The shipped ones are called public demo; others, by argument or environment, private with their hash."""
    private = tmp_path / "mine.npz"
    private.write_bytes(module.VISIBLE[0].read_bytes())
    assert WeakToStrong("w2s/probe-v1").secret.name == "public demo"
    assert WeakToStrong("w2s/probe-v1", private).secret.name.startswith("private ")
    monkeypatch.setenv("TOPROPE_W2S_WEIGHTS", str(private))
    assert len(registry.load("w2s/probe-v1").secret.name) == len("private ") + 12
    monkeypatch.setenv("TOPROPE_W2S_WEIGHTS", str(tmp_path / "none.npz"))
    with pytest.raises(UsageError, match=r"none\.npz"):
        WeakToStrong("w2s/probe-v1")


@pytest.mark.parametrize(
    ("concept", "expected"), [("set 39", [1, 0]), ("above mean", [1, 0]), ("above d2", [0, 0]), ("above d1", [1, 0])]
)
def test_concepts(concept, expected):
    """Concepts hold where one would say so by hand (digits 3 9 4 1 0, answers 9 and 2)."""
    digits = np.array([[3, 9, 4, 1, 0]] * 2)
    assert cells.holds(concept, np.array([9, 2]), digits).tolist() == [bool(e) for e in expected]


def test_unknown_concept_and_task_are_refused():
    """The message names the thing and what was expected."""
    with pytest.raises(UsageError, match=r"'below mean'.*expected"):
        cells.holds("below mean", np.array([1]), np.zeros((1, 5), int))
    with pytest.raises(UsageError, match=r"'w2s/none'.*w2s/probe-v1"):
        registry.load("w2s/none")


def test_random_runs_are_runs():
    """A random run splits 0..9 at two or three cuts, so its indicator changes two or three times."""
    rng = np.random.default_rng(0)
    for _ in range(200):
        cell = cells.random_run(rng)
        inside = cells.holds(cell.concept, np.arange(10), np.zeros((10, 5), int))
        assert np.abs(np.diff(inside.astype(int))).sum() in (2, 3)
        assert set(cell.ops) <= set("01236789")


@pytest.mark.e2e
def test_listing_tasks_imports_no_numpy():
    """`available()` reads cards alone."""
    code = (
        "import sys; from toprope.tasks.registry import *; print([t.id for t in available()], 'numpy' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "w2s/probe-v1" in out
    assert out.strip().endswith("False")
