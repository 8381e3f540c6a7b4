"""The method grammar: every baseline against its formula, written a second time here and as plainly as possible."""

import numpy as np
import pytest

from toprope.tasks.trusted import load
from toprope_tasks.w2s import baselines, space
from toprope_tasks.w2s.task import WeakToStrong

METHODS = baselines.METHODS
TARGETS = load(WeakToStrong("w2s/probe-v1").starter()).targets


@pytest.fixture(scope="module")
def pool(dev):
    """Features, weak probabilities and margins of one draw."""
    public = dev[0].public
    return public["pool_features"], public["pool_weak_probs"], public["margins"]


def run(pool, params, seed=0):
    x, w, margins = pool
    return TARGETS(x, w, params=params, rng=np.random.default_rng(seed), margins=margins)


def logistic(z, t, u=None, l2=1e-3, gce=None, steps=4000):
    """(probabilities on z, function for other rows) by plain gradient descent to convergence."""
    u = np.ones(len(z)) if u is None else u
    u = u / u.sum()
    a = np.column_stack([z, np.ones(len(z))]).astype(float)
    beta, rate = np.zeros(a.shape[1]), 1 / (0.25 * np.linalg.eigvalsh((a.T * u) @ a)[-1] + l2)
    ridge = np.append(np.full(z.shape[1], l2), 0)
    velocity = np.zeros_like(beta)
    for _ in range(steps):
        f = 1 / (1 + np.exp(-a @ beta))
        slope = f - t if gce is None else t * f**gce * (f - 1) + (1 - t) * (1 - f) ** gce * f
        velocity = 0.9 * velocity - rate * (a.T @ (u * slope) + ridge * beta)
        beta = beta + velocity
    return lambda rows: 1 / (1 + np.exp(-(rows @ beta[:-1] + beta[-1])))


def standard(x):
    return (x - x.mean(0)) / (x.std(0) + 1e-6)


def components(x, rank):
    z = standard(x)
    _, _, axes = np.linalg.svd(z, full_matrices=False)
    return z @ axes[:rank].T


def close(got, expected, decisions=0.98, probability=0.05):
    """The grammar stops its solver early: demand equal decisions on nearly all rows and a small mean difference."""
    assert np.mean(np.abs(got - expected)) < probability
    assert np.mean((got > 0.5) == (expected > 0.5)) >= decisions


def test_vanilla_is_hard_labels_with_equal_weights(pool):
    """The starter, and the default row of the space, return 1[w > 1/2] and ones."""
    for params in ({}, space.grammar().decode(space.grammar().default())):
        t, u = run(pool, params)
        assert np.array_equal(t, (pool[1] > 0.5).astype(np.float32))
        assert np.all(u == 1)


def test_soft_labels(pool):
    """Soft labels are the weak probabilities themselves."""
    t, u = run(pool, METHODS["soft labels"].params)
    np.testing.assert_allclose(t, pool[1], atol=1e-4)
    assert np.all(u == 1)


@pytest.mark.parametrize("share", [50, 30])
def test_confidence_filter(pool, share):
    """The filter keeps exactly the share with the largest |w - 1/2|."""
    _, u = run(pool, METHODS[f"confidence {share}"].params)
    score = np.abs(pool[1] - 0.5)
    kept = u > 0
    assert abs(kept.mean() - share / 100) < 0.005
    assert score[kept].min() >= score[~kept].max()


def test_confidence_weights(pool):
    """Weights are |2w - 1| (plus .001, so that no pool is left without any)."""
    _, u = run(pool, METHODS["confidence weights"].params)
    np.testing.assert_allclose(u, np.abs(2 * pool[1] - 1) + 1e-3, atol=1e-5)


@pytest.mark.parametrize("name", ["strong L2", "generalised CE"])
def test_own_logistic_models(pool, name):
    """Predictions equal those of the regularised logistic model, with either loss, trained to convergence."""
    t, u = run(pool, METHODS[name].params)
    p = METHODS[name].params
    z = standard(pool[0])
    y = (pool[1] > 0.5).astype(float)
    close(t, logistic(z, y, l2=p.get("l2", 1e-3), gce=0.7 if "loss" in p else None)(z))
    assert np.all(u == 1)


def test_squared_loss(pool):
    """Least squares on labels in {-1, 1}, its doubled score through the logistic function."""
    t, _ = run(pool, METHODS["squared loss"].params)
    z = standard(pool[0])
    a = np.column_stack([z, np.ones(len(z))])
    y = 2.0 * (pool[1] > 0.5) - 1
    ridge = np.diag(np.append(np.full(z.shape[1], 1e-3), 1e-6))
    score = a @ np.linalg.solve(a.T @ a / len(z) + ridge, a.T @ y / len(z))
    np.testing.assert_allclose(t, 1 / (1 + np.exp(-2 * score)), atol=1e-3)


@pytest.mark.parametrize("rank", [16, 8])
def test_few_components(pool, rank):
    """Predictions equal those of a logistic model on the first principal components."""
    t, _ = run(pool, METHODS[f"PCA {rank}"].params)
    z = components(pool[0], rank)
    close(t, logistic(z, (pool[1] > 0.5).astype(float))(z))


def _logconf(f, y):
    return 0.5 * y + 0.5 * (f >= np.quantile(f, 1 - y.mean()))


def _product(f, y):
    odds = f / (1 - f) * np.clip(y, 1e-3, 1 - 1e-3) / np.clip(1 - y, 1e-3, 1)
    return odds / (1 + odds)


def _em(f, y):
    hit, alarm = np.average(y, weights=f), np.average(y, weights=1 - f)
    one = f * np.where(y == 1, hit, 1 - hit)
    return one / (one + (1 - f) * np.where(y == 1, alarm, 1 - alarm))


@pytest.mark.parametrize(
    ("name", "rule", "rounds", "l2"),
    [
        ("logconf", _logconf, 5, 1e-3),
        ("logconf + L2", _logconf, 5, 0.03),
        ("entropy", lambda f, y: 0.5 * y + 0.5 * f, 5, 1e-3),
        ("product", _product, 3, 1e-3),
        ("bootstrapping", lambda f, y: (f > 0.5).astype(float), 3, 1e-3),
        ("class-conditional EM", _em, 2, 1e-3),
    ],
)
def test_rounds(pool, name, rule, rounds, l2):
    """Train, make new targets by the formula, retrain: decisions agree with the same loop trained to convergence."""
    t, _ = run(pool, METHODS[name].params)
    z = standard(pool[0])
    y = pool[1].astype(float) if METHODS[name].params.get("label") == "soft" else (pool[1] > 0.5).astype(float)
    f = logistic(z, y, l2=l2, steps=800)(z)
    for _ in range(rounds):
        f = logistic(z, rule(f, y), l2=l2, steps=800)(z)
    close(t, f, decisions=0.95, probability=0.1)


def _folds(x, y, seed, folds):
    """Out-of-fold predictions with the fold numbers the grammar draws first from its generator."""
    part = np.random.default_rng(seed).permutation(len(x)) % folds
    f = np.empty(len(x))
    z = standard(x)
    for k in range(folds):
        f[part == k] = logistic(z[part != k], y[part != k], steps=800)(z[part == k])
    return f


def test_agreement_filter(pool):
    """Kept are the rows whose label a model trained on the other half predicts."""
    _, u = run(pool, METHODS["agreement filter"].params)
    y = (pool[1] > 0.5).astype(float)
    assert np.mean((u > 0) == ((_folds(pool[0], y, 0, 2) > 0.5) == (y > 0.5))) > 0.97


def test_two_fold_relabel(pool):
    """Labels become the decisions of models trained on the other half; a last model is trained on them."""
    t, _ = run(pool, METHODS["2-fold relabel"].params)
    y = (pool[1] > 0.5).astype(float)
    z = standard(pool[0])
    relabelled = (_folds(pool[0], y, 0, 2) > 0.5).astype(float)
    close(t, logistic(z, relabelled, steps=800)(z), decisions=0.93, probability=0.1)


def test_fold_agreement_margin(pool):
    """Kept is the half that five-fold models support most."""
    _, u = run(pool, METHODS["fold agreement 50"].params)
    y = (pool[1] > 0.5).astype(float)
    score = (_folds(pool[0], y, 0, 5) - 0.5) * (2 * y - 1)
    assert np.mean((u > 0) == (score >= np.median(score))) > 0.96


def test_small_loss(pool):
    """Kept are the 70 % a vanilla model fits best."""
    _, u = run(pool, METHODS["small loss"].params)
    y = (pool[1] > 0.5).astype(float)
    z = standard(pool[0])
    f = logistic(z, y)(z)
    loss = -np.log(np.where(y > 0, f, 1 - f))
    assert np.mean((u > 0) == (loss <= np.quantile(loss, 0.7))) > 0.96


def _neighbours(x, y, k, seed=0):
    """Mean label of the k nearest of 600 anchors, row itself excluded, by full sorting."""
    z = standard(x).astype(float)
    anchors = np.random.default_rng(seed).choice(len(z), 600, replace=False)
    out = np.empty(len(z))
    for i, row in enumerate(z):
        distance = np.sum((z[anchors] - row) ** 2, 1)
        distance[anchors == i] = np.inf
        out[i] = y[anchors[np.argsort(distance)[:k]]].mean()
    return out


def test_knn_relabel_and_filter(pool):
    """Targets are the neighbours' mean label; the filter drops the tenth that disagrees most with it."""
    y = (pool[1] > 0.5).astype(float)
    mean = _neighbours(pool[0], y, 50)
    np.testing.assert_allclose(run(pool, METHODS["kNN relabel"].params)[0], mean, atol=0.021)  # one tied neighbour
    _, u = run(pool, METHODS["kNN filter"].params)
    off = np.abs(mean - y)
    assert (u > 0).mean() >= 0.9
    assert off[u == 0].min() >= off[u > 0].max() - 0.021


def test_label_propagation(pool):
    """Three steps of the row-normalised Gaussian kernel on hard labels, cut at one half."""
    t, _ = run(pool, METHODS["label propagation"].params)
    z = components(pool[0], 64)
    distance = np.sum((z[:, None] - z[None]) ** 2, -1) if len(z) < 200 else _squared(z)
    kernel = np.exp(-distance / (0.1 * np.median(distance[:50])))
    np.fill_diagonal(kernel, 0)
    kernel /= kernel.sum(1, keepdims=True)
    expected = np.linalg.matrix_power(kernel, 3) @ (pool[1] > 0.5)
    assert np.mean(t == (expected > 0.5)) > 0.995


def _squared(z):
    return np.maximum(np.sum(z**2, 1)[:, None] + np.sum(z**2, 1) - 2 * z @ z.T, 0)


def test_match_gives_the_teachers_share(pool):
    """With match, the share of positive targets is the teacher's mean probability."""
    t, _ = run(pool, METHODS["label propagation + match"].params)
    assert set(np.unique(t)) == {0, 1}
    assert t.mean() == pytest.approx(pool[1].mean(), abs=0.005)


def test_kmeans_vote(pool):
    """Targets take one value per cluster, its mean label, so their mean is the mean label."""
    t, _ = run(pool, METHODS["k-means vote"].params)
    y = pool[1] > 0.5
    assert len(np.unique(t)) <= 32
    for value in np.unique(t):
        assert y[t == value].mean() == pytest.approx(value, abs=1e-3) or np.sum(t == value) > 32
    assert t.mean() == pytest.approx(y.mean(), abs=1e-3)


def test_overlap_density_keeps_half_of_each_class(pool):
    """The filter keeps half of either weak class."""
    _, u = run(pool, METHODS["overlap density"].params)
    y = pool[1] > 0.5
    assert [np.mean(u[y == c] > 0) for c in (0, 1)] == pytest.approx([0.5, 0.5], abs=0.01)


def test_overlap_density_prefers_agreement(pool):
    """Kept rows agree with their neighbours more than dropped ones."""
    _, u = run(pool, METHODS["overlap density"].params)
    y = (pool[1] > 0.5).astype(float)
    off = np.abs(_neighbours(pool[0], y, 50) - y)
    assert off[u > 0].mean() < 0.7 * off[u == 0].mean()


def test_quadratic_student_fits_labels_closer(pool):
    """With products of features the model follows the weak labels more closely than vanilla's linear one."""
    y = pool[1] > 0.5
    linear, quadratic = (run(pool, {**p, "l2": 1.2e-3})[0] for p in ({}, {"degree": 2}))
    assert np.mean((quadratic > 0.5) == y) > np.mean((linear > 0.5) == y)


def test_any_point_of_the_space_is_a_valid_method(pool):
    """Thirty random rows give finite targets in [0, 1] and weights >= 0 that are not all zero."""
    grammar = space.grammar()
    rng = np.random.default_rng(0)
    for _ in range(30):
        params = grammar.decode(np.array([rng.integers(size + 1) for size in grammar.sizes.astype(int)], np.uint8))
        t, u = run(pool, params)
        assert t.dtype == u.dtype == np.float32
        assert t.shape == u.shape == (1000,)
        assert np.isfinite(t).all() and np.isfinite(u).all()
        assert 0 <= t.min() <= t.max() <= 1
        assert u.min() >= 0 < u.max()


def test_every_method_is_a_point_and_a_run(pool, task):
    """All baselines, tuned ones too, are known to the grammar and give valid targets."""
    for name, baseline in task.baselines().items():
        t, u = run(pool, baseline.params)
        assert 0 <= t.min() <= t.max() <= 1, name
        assert u.max() > 0, name
        if "degree" not in baseline.params:
            space.grammar().encode(baseline.params)


def test_tuned_methods_keep_their_own_blocks(task):
    """Tuning changed a method's own scalars only; the other tiers are compared with the same."""
    found = task.baselines()
    tuned = {name.removesuffix(" (tuned)"): b.params for name, b in found.items() if b.tuned}
    assert len(tuned) == 23
    for name, params in tuned.items():
        changed = {key for key in params if params[key] != METHODS[name].params.get(key)}
        assert changed <= set(METHODS[name].own), name
    assert WeakToStrong("w2s/probe-hard-v1").baselines() == found


def test_unknown_parameter_is_named(pool):
    """A misspelt parameter is an error that names it."""
    with pytest.raises(ValueError, match="'bandwith'"):
        run(pool, {"bandwith": 1})


def test_slots_partition_the_space():
    """Every dimension belongs to exactly one slot, and every name to the grammar's settings."""
    for some in (space.grammar(), space.flat_space()):
        assert sorted(i for slot in some.slots for i in slot) == list(range(len(some.dims)))


def test_flat_space_has_ten_free_scalars():
    """The comparison space has ten numbers to choose."""
    assert sum(len(d.levels) > 1 for d in space.flat_space().dims) == 10


def test_tree_is_small_and_self_contained(task):
    """The candidate's files stay under 64 KiB and import nothing but numpy and each other."""
    files = task.starter().files
    assert set(files) == {"solution.py", "blocks.py", "logistic.py", "many.py"}
    assert sum(map(len, files.values())) < 65536
    lines = {line for data in files.values() for line in data.decode().splitlines()}
    modules = {line.split()[1] for line in lines if line.startswith(("import", "from"))}
    assert modules == {"blocks", "logistic", "many", "numpy", "typing"}
