"""The files of a bank: what is written is read again, and what is damaged is one line."""

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from toprope.errors import UsageError
from toprope_tasks.w2s.bank import file

NOTE = file.ModelNote("m", "encoder", "MIT", "0" * 64, {"1-mean": "after block 1"})


def bank(rows=40, name="b", optional=True, seed=0):
    rng = np.random.default_rng(seed)
    manifest = file.Manifest(
        name, NOTE, NOTE, "somewhere", "CC0", [file.Concept("a", "given"), file.Concept("b", "x")], "c"
    )
    more = {}
    if optional:
        more = {
            "margins": rng.standard_normal(rows).astype(np.float32),
            "groups": rng.integers(0, 9, rows).astype(np.int32),
            "weak_probs": rng.random((2, rows)).astype(np.float16),
        }
    made = file.Bank(
        manifest,
        {"1-mean": rng.standard_normal((rows, 6)).astype(np.float32)},
        {"0-mean": rng.standard_normal((rows, 3)).astype(np.float32)},
        np.arange(rows, dtype=np.int32),
        np.array([file.text_hash(str(i)) for i in range(rows)], np.uint64),
        **more,
    )
    return made, rng.integers(-1, 2, (2, rows)).astype(np.int8)


@pytest.mark.parametrize("small", [False, True])
@pytest.mark.parametrize("optional", [False, True])
def test_what_is_written_is_read(tmp_path, small, optional):
    """Features come back within the precision of float16 or int8, all else exactly; others may read the files."""
    made, labels = bank(optional=optional)
    path = tmp_path / "new" / "b.npz"
    file.write(path, made, labels, small)
    found = file.read(path)
    step = 6 * made.strong["1-mean"].std(0).max() / 127 if small else 4e-3
    for side in ("strong", "weak"):
        for name, x in getattr(made, side).items():
            assert np.abs(getattr(found, side)[name] - x).max() <= step / 2 + 1e-6
    assert found.manifest == made.manifest
    for name in ("origin", "texts", "margins", "groups", "weak_probs"):
        np.testing.assert_array_equal(getattr(found, name), getattr(made, name))
    np.testing.assert_array_equal(file.read_labels(path, found), labels)
    assert sorted(p.name for p in path.parent.iterdir()) == ["b.gold.npz", "b.npz"]
    assert path.stat().st_mode == (tmp_path / "new").joinpath("b.gold.npz").stat().st_mode
    assert len(file.digest(path)) == 64


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(arrays(np.float32, (6, 2), elements=st.floats(-1e4, 1e4, width=32)))
def test_int8_is_half_a_step_away_or_clipped(tmp_path_factory, x):
    """A feature in int8 is off by half a step, or stands at the clip if it is more than six deviations out."""
    made, labels = bank(6, optional=False)
    path = tmp_path_factory.mktemp("int8") / "b.npz"
    file.write(path, made._replace(strong={"1-mean": x}), labels, small=True)
    found = file.read(path).strong["1-mean"]
    step = x.std(0) * file.CLIP / 127
    limit = step * 127.0
    assert (np.abs(found - np.clip(x, -limit, limit)) <= 0.51 * step + 1e-5 * np.abs(x) + 1e-9).all()


def test_labels_of_another_bank(tmp_path):
    """Gold labels whose manifest is not the bank's are refused."""
    (one, labels), (two, others) = bank(name="one"), bank(name="two")
    file.write(tmp_path / "one.npz", one, labels)
    file.write(tmp_path / "two.npz", two, others)
    (tmp_path / "two.gold.npz").replace(tmp_path / "one.gold.npz")
    with pytest.raises(UsageError, match=r"one.gold.npz' holds the labels of another bank"):
        file.read_labels(tmp_path / "one.npz", one)


def broken(path, **changed):
    """The bank's file with some arrays replaced, or without those that are None."""
    old = file.load(path)
    file.save(path, {k: v for k, v in {**old, **changed}.items() if v is not None})


def later(made):
    note = msgspec.structs.replace(made.manifest, format=file.FORMAT + 1)
    return np.frombuffer(msgspec.json.encode(note), np.uint8)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"manifest": None}, "is not a bank"),
        ({"manifest": np.zeros(3)}, "is not a bank"),
        ({"manifest": "later"}, "has format 2; this version reads up to 1"),
        ({"strong/1-mean": None}, "has no strong or no weak features"),
        ({"strong/1-mean": np.zeros(40)}, "strong/1-mean has shape (40,); expected (rows, features) of 40 rows"),
        ({"strong/1-mean": np.full((40, 6), np.nan)}, "strong/1-mean holds numbers that are not finite"),
        ({"strong/1-mean": np.zeros((40, 6), np.int8)}, "lacks an array or has one of another kind"),
        ({"strong/1-mean": np.full((40, 6), "x")}, "lacks an array or has one of another kind"),
        ({"weak/0-mean": np.zeros((39, 3))}, "weak/0-mean has shape (39, 3); expected (rows, features) of 40 rows"),
        ({"origin": None}, "lacks an array"),
        ({"origin": np.zeros((40, 2))}, "origin has shape (40, 2); expected (rows,) of 40 rows"),
        ({"texts": np.zeros(39, np.uint64)}, "texts has shape (39,); expected (rows,)"),
        ({"margins": np.zeros(())}, "margins has shape (); expected (rows,)"),
        ({"weak_probs": np.zeros((1, 40))}, "weak_probs has shape (1, 40); expected (2, 40)"),
    ],
)
def test_a_bank_with_a_wrong_array_is_one_line(tmp_path, changed, words):
    made, labels = bank()
    path = tmp_path / "b.npz"
    file.write(path, made, labels)
    broken(path, **{k: later(made) if isinstance(v, str) and v == "later" else v for k, v in changed.items()})
    with pytest.raises(UsageError) as caught:
        file.read(path)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("labels", [None, np.zeros((2, 39), np.int8), np.full((2, 40), 2, np.int8), np.zeros((2, 40))])
def test_gold_with_wrong_labels(tmp_path, labels):
    made, good = bank()
    path = tmp_path / "b.npz"
    file.write(path, made, good)
    broken(file.gold_path(path), labels=labels)
    with pytest.raises(UsageError, match="expected int8 in -1, 0, 1"):
        file.read_labels(path, made)


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_a_damaged_file_is_one_line(tmp_path_factory, data):
    """Bytes that are changed, cut off or all others: the bank is read, or refused in one line."""
    made, labels = bank()
    path = tmp_path_factory.mktemp("damaged") / "b.npz"
    file.write(path, made, labels)
    whole = bytearray(path.read_bytes())
    at = data.draw(st.integers(0, len(whole) - 1))
    if data.draw(st.booleans()):
        whole[at : at + 8] = data.draw(st.binary(min_size=1, max_size=8))
    else:
        del whole[at:]
    path.write_bytes(whole)
    try:
        file.read(path)
    except UsageError as e:
        assert "expected" in str(e) or "again" in str(e) or "toprope" in str(e)  # noqa: PT017


def test_files_that_are_not_there(tmp_path):
    with pytest.raises(UsageError, match=r"does not exist; expected an .npz that `toprope extract` made"):
        file.read(tmp_path / "b.npz")
    (tmp_path / "b.npz").write_bytes(b"text")
    with pytest.raises(UsageError, match="cannot be read"):
        file.read(tmp_path / "b.npz")


def test_pickled_objects_are_not_loaded(tmp_path):
    made, labels = bank()
    path = tmp_path / "b.npz"
    file.write(path, made, labels)
    np.savez(path, **{**file.load(path), "texts": np.array([print], object)})
    with pytest.raises(UsageError, match=r"expected an .npz without pickled objects"):
        file.read(path)


def test_a_text_is_known_whatever_its_white_space():
    assert file.text_hash(" a  b\n") == file.text_hash("a b") != file.text_hash("ab")
