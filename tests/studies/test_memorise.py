"""Attacks on hidden draws: they work where they should, and the command prints all of them."""

import json
import re

import msgspec
import numpy as np
import pytest

from studies.w2s import libraries, memorise, stacker
from studies.w2s.simulated import simulate
from toprope_tasks.w2s import task

CHEAP = [{"label": "soft"}, {"rule": "logconf", "rounds": 5, "l2": 0.03}]


@pytest.fixture(scope="module")
def looks(cache_of_states):
    """Sixteen draws of hidden cells on the demo weights as a network with two cheap honest methods sees them."""
    draws = list(simulate("hidden", [task.DEMO], 16, 2, lines=4000))
    return draws, [stacker.look(d, CHEAP) for d in draws]


@pytest.mark.slow
def test_stacker_learns_what_it_is_shown(looks):
    """Trained on gold of twelve draws, it beats the teacher on every row kind of four draws it never saw."""
    draws, seen = looks
    for part in ("pool", "test"):
        gold = [getattr(d.private, f"{part}_labels") for d in draws]
        x = [getattr(s, part) for s in seen]
        net = stacker.train(np.concatenate(x[:12]), np.concatenate(gold[:12]), 0, 6, width=16)
        right = np.mean([np.mean((net.logits(a) > 0) == g) for a, g in zip(x[12:], gold[12:], strict=True)])
        assert right > np.mean([d.floor for d in draws[12:]]) + 0.03


def test_inputs_do_not_know_gold(looks):
    """With every gold label flipped, the network is shown exactly the same."""
    draws, seen = looks
    gold = draws[0].private
    flipped = msgspec.structs.replace(gold, pool_labels=~gold.pool_labels, test_labels=~gold.test_labels)
    again = stacker.look(msgspec.structs.replace(draws[0], private=flipped), CHEAP)
    np.testing.assert_array_equal(again.pool, seen[0].pool)
    np.testing.assert_array_equal(again.test, seen[0].test)


def test_test_rows_are_seen_one_at_a_time():
    """What the network gets about a test row does not depend on the other test rows: no transduction."""
    rng = np.random.default_rng(0)
    pool, rows = (rng.standard_normal((n, 6), dtype=np.float32) for n in (80, 30))
    labels = np.sign(rng.standard_normal((80, 2))).astype(np.float32)
    whole = stacker.statistics(pool, rows, labels)
    np.testing.assert_allclose(whole[:5], stacker.statistics(pool, rows[:5], labels), rtol=1e-4, atol=1e-5)


def test_statistics_of_a_pool_row_leave_itself_out():
    """A pool row's own label does not reach its statistics."""
    rng = np.random.default_rng(0)
    pool = rng.standard_normal((80, 6), dtype=np.float32)
    labels = np.sign(rng.standard_normal((80, 1))).astype(np.float32)
    other = labels.copy()
    other[7] *= -1
    before, after = (stacker.statistics(pool, None, some) for some in (labels, other))
    np.testing.assert_array_equal(before[7], after[7])
    assert not np.array_equal(before, after)


def test_fast_ica_unmixes():
    """Independent skewed and heavy-tailed sources come back from a rotation, up to order and sign."""
    rng = np.random.default_rng(0)
    sources = np.column_stack([rng.exponential(size=4000), rng.laplace(size=4000), rng.uniform(size=4000)])
    sources = (sources - sources.mean(0)) / sources.std(0)
    white = sources @ np.linalg.qr(rng.standard_normal((3, 3)))[0]
    found = np.abs(np.corrcoef((white @ libraries.fast_ica(white)).T, sources.T)[:3, 3:])
    assert np.all(found.max(1) > 0.97)
    assert sorted(found.argmax(1)) == [0, 1, 2]


def test_pairing_finds_permuted_and_mirrored_components():
    """Quantiles of the same components in another order and with other signs are paired exactly."""
    rng = np.random.default_rng(0)
    scale = np.arange(1, 6)
    z = rng.exponential(size=(3000, 5)) ** (scale / 3)
    order, signs = rng.permutation(5), np.array([1, -1, -1, 1, -1.0])
    entry = np.quantile(z[:, order] * signs, libraries.QUANTILES, axis=0).T
    partner, sign = libraries.pair(np.quantile(z, libraries.QUANTILES, axis=0).T, entry[None])
    assert partner[0].tolist() == order.tolist()
    assert sign[0].tolist() == signs.tolist()


@pytest.mark.slow
def test_the_study_prints_every_kind_and_attack(cache_of_states, tmp_path, capsys):
    """A tiny run prints the champion, and six attacks for each of three kinds of knowledge, all with paired errors."""
    params = tmp_path / "params.json"
    params.write_text(json.dumps({"label": "soft"}))
    memorise.main(draws=3, train=4, epochs=1, lines=4000, params=params)
    out = capsys.readouterr().out
    assert "hidden weights: public demo; 3 hidden draws, 4 simulated ones" in out
    assert "rule: attack <= champion + 0.05" in out
    number = r"[+-]?\d\.\d{3} ± \d\.\d{3}"
    rows = re.findall(
        rf"^\| (\w[^|]+) \| ([^|]+) \| {number} \| {number} \| {number} \| (yes|NO) \|$", out, re.MULTILINE
    )
    kinds = memorise.knowledge(task.DEMO)
    assert [kind for kind, _, _ in rows] == [kind for kind in kinds for _ in range(6)]
    assert len({attack for _, attack, _ in rows}) == 6


def test_private_weights_add_the_demo_to_what_strangers_know(tmp_path):
    """Against private weights a stranger simulates every public lineage; only the last kind has the hidden ones."""
    hidden = tmp_path / "hidden.npz"
    kinds = memorise.knowledge(hidden)
    public = [weights for _, weights in list(kinds.values())[:-1]]
    assert public == [[*task.VISIBLE], [*task.VISIBLE, task.DEMO]]
    assert kinds["hidden cells and weights"] == ("hidden", [hidden])
