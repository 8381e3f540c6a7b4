"""Draws from banks of real activations, on small banks made here: what is divided, what is hidden, what is refused."""

import msgspec
import numpy as np
import pytest

from toprope.errors import UsageError
from toprope_tasks.w2s import student
from toprope_tasks.w2s.bank import draws, file, hidden
from toprope_tasks.w2s.bank.task import BankTask, make

ROWS, CONCEPTS, WIDTH = 11_000, 10, 12
NOTE = file.ModelNote("made here", "encoder", "MIT", "", {})


def made(path, seed=0, rows=ROWS, small=False):
    """A bank whose concepts are directions of the strong features, with a weak view that is noisier."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((rows, WIDTH)).astype(np.float32)
    turn = np.linalg.qr(rng.standard_normal((WIDTH, WIDTH)))[0]
    labels = ((x @ turn[:, :CONCEPTS] + 0.3 * rng.standard_normal((rows, CONCEPTS))) > 0).T.astype(np.int8)
    weak = (x + 1.2 * rng.standard_normal(x.shape)).astype(np.float32)
    manifest = file.Manifest(
        "made", NOTE, NOTE, "noise", "MIT", [file.Concept(f"c{i}", "sign") for i in range(CONCEPTS)], ""
    )
    origin, texts = np.arange(rows) // 2, np.arange(rows)
    bank = file.Bank(manifest, {"a": x}, {"b": weak}, origin.astype(np.int32), texts.astype(np.uint64))
    sampler = draws.Sampler(bank, labels)
    measured = [draws.measured(sampler, c, 3, rng) for c in range(CONCEPTS)]
    bank = bank._replace(manifest=msgspec.structs.replace(manifest, concepts=measured))
    file.write(path, bank, labels, small)
    return path


@pytest.fixture(scope="module")
def bank_path(tmp_path_factory):
    return made(tmp_path_factory.mktemp("bank") / "made.npz")


@pytest.fixture(scope="module")
def task(bank_path, tmp_path_factory):
    return BankTask("w2s/bank-v1", [bank_path], made(tmp_path_factory.mktemp("other") / "hidden.npz", seed=1))


def opened(path):
    bank = file.read(path)
    return bank, file.read_labels(path, bank)


def test_pool_test_and_gold_share_no_origin_and_no_text(bank_path):
    """Origins of two rows each, and a text that stands in two origins: none is on both sides of a draw."""
    bank, labels = opened(bank_path)
    texts = bank.texts.copy()
    texts[4000:4600] = texts[0:600]
    bank = bank._replace(texts=texts)
    sampler = draws.Sampler(bank, labels)
    for c in range(3):
        pool, test = sampler.draw(c, np.random.default_rng(c)).private.rows
        assert not set(bank.origin[pool]) & set(bank.origin[test])
        assert not set(texts[pool]) & set(texts[test])
        assert len(set(pool)) == draws.POOL
        assert len(set(test)) == draws.TEST


def test_a_rotation_keeps_the_ceiling_and_hides_the_columns(bank_path):
    """The student's accuracy on gold is that of the unrotated features; no column equals one of the bank's."""
    bank, labels = opened(bank_path)
    draw = draws.Sampler(bank, labels).draw(0, np.random.default_rng(0))
    gold = draw.private
    plain = student.basis(draws.standard(bank.strong["a"])[gold.rows[0]])
    probe = student.fit(plain, gold.pool_labels[None].astype(float), np.ones((1, draws.POOL)))
    p = probe.probabilities(plain, draws.standard(bank.strong["a"])[gold.rows[1]])[0]
    assert abs(np.mean((p > 0.5) == gold.test_labels) - draw.ceiling) < 0.01
    both = np.corrcoef(draw.public["pool_features"].T, bank.strong["a"][gold.rows[0]].T)[:WIDTH, WIDTH:]
    assert np.abs(both).max() < 0.95


def test_the_sealed_test_has_concepts_of_its_own(task):
    """No concept of the test belongs to gate and measurements, nor one whose labels are nearly the same."""
    val, test = (task.bank.half(split) for split in ("val", "test"))
    asked, tested = ([c for family in half.families for c in family] for half in (val, test))
    assert not set(asked) & set(tested)
    assert task.bank.half("measure") is val
    labels = val.sampler.labels.copy()
    labels[1], labels[4] = labels[0], 1 - labels[2]
    labels[1, :200] = -1
    assert sorted(hidden.akin(labels, [0, 1, 2, 3, 4])) == [[0, 1], [2, 4], [3]]


def test_dev_visits_the_concepts_in_turn_and_draws_are_functions_of_the_seed(task):
    """The same index and seed give the same bytes; another seed another sample of the same concept."""
    one, again, other = (task.generate("dev", 3, seed) for seed in (5, 5, 6))
    assert one.public["pool_features"].tobytes() == again.public["pool_features"].tobytes()
    assert one.public["pool_features"].tobytes() != other.public["pool_features"].tobytes()
    assert one.private.about == other.private.about
    assert len({task.generate("dev", i, 5).group for i in range(5)}) == 5


def test_a_bank_that_is_too_small_is_refused_with_the_figures(tmp_path):
    """2,400 texts make draws of two times a thousand that share most of them."""
    path = made(tmp_path / "little.npz", rows=2400)
    with pytest.raises(UsageError, match=r"0 of 10 concepts are admitted; 0 of these .* 2400 texts"):
        hidden.halves(path)


def test_the_vaults_own_bank_is_used_and_named(task, tmp_path, monkeypatch):
    """A private bank is named by its digest; a named one is never replaced; a vault cannot make one."""
    monkeypatch.setattr(hidden, "DEMO", tmp_path / "none.npz")
    monkeypatch.delenv(hidden.BANK, raising=False)
    fresh = make("w2s/bank-v1")
    made(tmp_path / hidden.PRIVATE, seed=2)
    fresh.open_secret(tmp_path)
    assert fresh.secret.name == f"private {file.digest(tmp_path / hidden.PRIVATE)[:12]}"
    assert not fresh.secret.public
    named = task.secret.name
    task.open_secret(tmp_path)
    assert task.secret.name == named
    with pytest.raises(UsageError, match="toprope extract"):
        task.make_secret(tmp_path, None, lambda what, done: None)


def test_the_students_l2_grows_with_the_width():
    """Sixty-four columns have the L2 of the tiny models; six times as many about ninety times that."""
    assert draws.width_l2(24) == draws.width_l2(64) == student.L2
    assert 50 < draws.width_l2(384) / draws.width_l2(64) < 100
