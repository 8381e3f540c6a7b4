"""Draws and seeds by name: anyone with the secret regenerates them byte for byte, nobody else does."""

import itertools

import numpy as np
import pytest

from toprope import seeding
from toprope.referee.draws import DrawStore


def bytes_of(store: DrawStore, split: str, slice_: int, index: int) -> bytes:
    draw = store.get(split, slice_, index).draw
    return b"".join(draw.public[k].tobytes() for k in sorted(draw.public)) + np.asarray(draw.private).tobytes()


def test_the_same_secret_gives_the_same_draws(task):
    """Another store, another order, after other slices: identical bytes and candidate rngs."""
    names = [("dev", 0, 0), ("val", 1, 3), ("val", 2, 3), ("measure", 1, 0), ("test", 0, 5)]
    secrets = dict.fromkeys(("dev", "val", "measure", "test"), b"s")
    first, second = DrawStore(task, secrets), DrawStore(task, secrets)
    ours = {n: (bytes_of(first, *n), first.get(*n).rng_seed) for n in names}
    theirs = {n: (bytes_of(second, *n), second.get(*n).rng_seed) for n in reversed(names)}
    assert ours == theirs
    assert {n: bytes_of(first, *n) for n in names} == {n: b for n, (b, _) in ours.items()}  # slice 1 again, after 2
    assert len({b for b, _ in ours.values()}) == len(names)
    other = DrawStore(task, dict.fromkeys(secrets, b"t"))
    assert all(bytes_of(other, *n) != ours[n][0] for n in names)
    for store in (first, second, other):
        store.close()


def test_a_slice_left_behind_is_let_go(task):
    """Going on to the next slice closes the memory of the last one; dev keeps all its draws."""
    store = DrawStore(task, {"dev": b"s", "val": b"s"})
    old, kept = store.get("val", 1, 0), store.get("dev", 0, 0)
    store.get("val", 2, 0)
    assert store.get("dev", 0, 0) is kept
    assert store.get("val", 1, 0) is not old
    finals = store.get("dev", 1, 0)  # fresh practice draws, which do not displace those of every experiment
    assert store.get("dev", 0, 0) is kept
    assert store.get("dev", 1, 0) is finals
    assert finals.rng_seed != kept.rng_seed
    store.get("dev", 2, 0)
    assert store.get("dev", 1, 0) is not finals
    store.close()


def test_every_path_of_labels_is_its_own_seed():
    """Numbers are not their texts, joints are not their parts, and order counts."""
    paths = [("1",), (1,), ("a", "b"), ("b", "a"), ("ab",), ("a", "b", ""), (), ("",), (-1,), ("a", 1), ("a1",), (0,)]
    seeds = [seeding.derive(b"s", *p) for p in paths]
    assert len(set(seeds)) == len(paths)
    assert all(0 <= s < 2**63 for s in seeds)
    assert seeds == [seeding.derive(b"s", *p) for p in paths]
    assert not set(seeds) & {seeding.derive(b"t", *p) for p in paths}


def test_labels_cannot_be_forged_by_separators():
    """A label that contains the separator and a type name would be two labels, so it is refused."""
    with pytest.raises(ValueError, match="separator"):
        seeding.derive(b"s", "a\x1fstr:b")


def test_secrets_are_what_they_are_called():
    """A run secret is random and 32 bytes, a rehearsal one is reproducible, commitments differ."""
    random = [seeding.run_secret(None) for _ in range(3)]
    assert len(set(random)) == 3
    assert {len(s) for s in random} == {32}
    assert seeding.run_secret("x") == seeding.run_secret("x") != seeding.run_secret("y")
    for a, b in itertools.combinations([*random, seeding.run_secret("x")], 2):
        assert seeding.commitment(a) != seeding.commitment(b)
    assert seeding.dev_secret(1) != seeding.dev_secret(2)
