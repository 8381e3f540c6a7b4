"""The banks in the package: whole, small, licensed, and of concepts that draws admit."""

import numpy as np
import pytest

from toprope_tasks.w2s.bank import crossed, draws, file, hidden, task

VISIBLE = task.shipped(crossed.VISIBLE)
BANKS = [*VISIBLE, hidden.DEMO]


@pytest.fixture(scope="module", params=BANKS, ids=lambda path: path.stem)
def bank(request):
    return request.param, file.read(request.param)


def test_all_of_them_take_ten_megabytes():
    """And nothing else lies beside them but their licences."""
    files = {p.name: p.stat().st_size for p in hidden.SHIPPED.iterdir() if not p.name.startswith("__")}
    assert set(files) == {"LICENCES.md"} | {p.name for b in BANKS for p in (b, file.gold_path(b))}
    assert sum(files.values()) <= 10e6


def test_they_say_where_they_come_from(bank):
    """Every bank and model has a licence; WordNet's notice goes wherever the bank goes."""
    path, read = bank
    note = read.manifest
    assert note.name == path.stem
    assert "not stated" not in (note.source, note.licence, note.strong.licence, note.weak.licence)
    assert "studies w2s/banks" in note.command
    if "WordNet" in note.source:
        assert "this permission" in note.licence or "appear on ALL copies" in note.licence
    assert path.stem in (hidden.SHIPPED / "LICENCES.md").read_text()


def test_their_concepts_are_admitted(bank):
    """By the draws that the manifest tells of, and a draw of any of them can be made."""
    path, read = bank
    labels = file.read_labels(path, read)
    sampler = draws.Sampler(read, labels)
    concepts = read.manifest.concepts
    assert all(map(draws.admitted, concepts))
    assert all(sampler.prior(c) is not None for c in range(len(concepts)))
    assert len({c.name for c in concepts}) == len(concepts)


def test_as_many_concepts_as_a_climb_needs():
    """At least 40 on the visible side and 40 on the hidden one."""
    counts = [len(file.read(path).manifest.concepts) for path in BANKS]
    assert sum(counts[: len(task.PAIRED)]) >= 40
    assert counts[-1] >= 40


def test_the_first_rung_sees_every_bank():
    """Draws take the four in turn, so that parents are chosen on both models and both kinds of text."""
    found = crossed.make("w2s/bank-v2")
    assert [sampler.bank.manifest.name for _, sampler in found._dev] == list(crossed.VISIBLE)
    assert len({found.generate("dev", i, 5).group for i in range(4)}) == 4
    assert found.spec.splits.rungs[0] >= len(crossed.VISIBLE)


def test_practice_and_hidden_banks_share_no_text():
    """Hidden texts are not seen on the visible side; visible banks are two models on the same two sets of texts."""
    *visible, secret = (set(file.read(path).texts.tolist()) for path in BANKS)
    assert not secret & set().union(*visible)
    glosses, verses, verses_again, glosses_again = visible
    assert (glosses, verses) == (glosses_again, verses_again)


def test_features_are_standardised_components(bank):
    """Columns are centred and uncorrelated, but for what int8 clips; the first has the largest variance."""
    _, read = bank
    for width, layers in ((64, read.strong), (24, read.weak)):
        for x in layers.values():
            assert x.shape[1] == width
            spread = x.std(0)
            assert np.abs(x.mean(0) / spread).max() < 0.05
            assert spread.argmax() == 0
            assert np.abs(np.corrcoef(x.T) - np.eye(width)).mean() < 0.01
