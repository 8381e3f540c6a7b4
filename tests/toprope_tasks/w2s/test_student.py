"""The referee's student."""

import numpy as np
import pytest

from toprope_tasks.w2s import student


@pytest.fixture(scope="module")
def pool():
    """800 rows of 20 correlated columns, and hard labels with a fifth of them wrong."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((800, 20)) @ rng.standard_normal((20, 20)) + 3
    y = x @ rng.standard_normal(20) > 0
    y = np.where(rng.random(800) < 0.2, ~y, y).astype(float)
    return student.basis(x), y, x


def newton(x, t, u, l2, steps=30):
    """Weighted logistic regression, written again and in the open."""
    a = np.column_stack([x, np.ones(len(x))])
    ridge = np.diag(np.append(np.full(x.shape[1], l2), 0))
    beta, u = np.zeros(a.shape[1]), u / u.sum()
    for _ in range(steps):
        p = 1 / (1 + np.exp(-a @ beta))
        beta -= np.linalg.solve((a.T * (u * p * (1 - p))) @ a + ridge, a.T @ (u * (p - t)) + ridge @ beta)
    return 1 / (1 + np.exp(-a @ beta))


@pytest.mark.parametrize("kind", ["equal", "filtered", "graded", "soft targets"])
def test_student_equals_newton(pool, kind):
    """Probabilities agree with a Newton solution within .01, decisions on at least 99.5 % of rows."""
    base, y, x = pool
    rng = np.random.default_rng(1)
    u = {"filtered": rng.random(800) < 0.5, "graded": rng.random(800) ** 2}.get(kind, np.ones(800)).astype(float)
    t = 0.1 + 0.8 * y if kind == "soft targets" else y
    mine = student.fit(base, t[None], u[None]).probabilities(base, x)[0]
    reference = newton(base.rows, t, u, student.L2)
    assert np.abs(mine - reference).max() < 0.01
    assert np.mean((mine > 0.5) == (reference > 0.5)) > 0.995


def test_plain_newton_equals_reference(pool):
    """The teacher's solver agrees with the same reference."""
    base, y, _ = pool
    p = student.probe(student.newton(base.rows, y, 1e-2), base.rows)
    np.testing.assert_allclose(p, newton(base.rows, y, np.ones(800), 1e-2), atol=1e-6)


def test_a_variant_does_not_depend_on_its_neighbours(pool):
    """Fitted alone or among forty others, a variant has the same probabilities to 1e-9."""
    base, y, x = pool
    rng = np.random.default_rng(2)
    t, u = rng.random((40, 800)), rng.random((40, 800))
    t[7] = y
    together = student.fit(base, t, u).probabilities(base, x)[7]
    alone = student.fit(base, t[7:8], u[7:8]).probabilities(base, x)[0]
    np.testing.assert_allclose(together, alone, atol=1e-9)


@pytest.mark.parametrize("weights", [0.0, 1e-30, 1e30, 3e38])
def test_scale_of_the_weights_does_not_matter(pool, weights):
    """All zero, tiny or huge equal weights give the student of equal weights, and never a warning."""
    base, y, x = pool
    expected = student.fit(base, y[None], np.ones((1, 800))).probabilities(base, x)
    got = student.fit(base, y[None], np.full((1, 800), weights, np.float32)).probabilities(base, x)
    np.testing.assert_allclose(got, expected, atol=1e-9)


def test_one_row_with_all_the_weight_is_survived(pool):
    """One non-zero weight still gives finite probabilities."""
    base, y, x = pool
    p = student.fit(base, y[None], np.eye(800)[3:4]).probabilities(base, x)
    assert np.isfinite(p).all()


def test_constant_column_is_harmless():
    """A feature that never varies gives finite probabilities."""
    x = np.column_stack([np.ones(50), np.arange(50.0)])
    base = student.basis(x)
    p = student.fit(base, (x[:, 1] > 20)[None].astype(float), np.ones((1, 50))).probabilities(base, x)
    assert np.isfinite(p).all()
