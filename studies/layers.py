"""Which layer stops what: each layer of the sandbox taken away alone, and left alone (docs/redteam.md).

A layer matters if some cheat ends otherwise once it alone is gone, and it carries weight if, with every other layer
gone, cheats that would pay don't. Only cheats that say without which layers they succeed (`OFF`) are run here: the
others could hurt the machine. The referee's own layers are proved by mutations, in the tests.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from toprope.assay.redteam import candidates, corpus
from toprope.assay.redteam.candidate_range import CandidateRange
from toprope.assay.redteam.corpus import Cheat
from toprope.sandbox.box import CHECKS, LAYERS

TASK = "testing/coin-v1"
EVERY = LAYERS | CHECKS


class Row(msgspec.Struct, frozen=True):
    """probes: cheats that end otherwise without the layer. alone: cheats that it keeps from paying all by itself."""

    layer: str
    probes: list[str]
    alone: list[str]

    @property
    def ok(self) -> bool:
        return bool(self.probes or self.alone)


def ends(cheats: Iterable[Cheat], tier: str, off: frozenset[str], task: str = TASK) -> dict[str, str]:
    """Cheat -> its end with these layers off."""
    with CandidateRange(task, tier, off=off) as stage:
        return {cheat.id: candidates.act(stage, cheat)[0] for cheat in cheats}


def harmless(cheats: Iterable[Cheat]) -> list[Cheat]:
    return [c for c in cheats if c.off and set(c.off) <= EVERY]


def prove(tier: str, cheats: Sequence[Cheat], layers: Iterable[str] = ()) -> list[Row]:
    """A row per layer; all that this tier has, if none is named."""
    layers = layers or sorted(EVERY if tier == "linux-full" else EVERY - {"namespaces"})
    whole, bare = ends(cheats, tier, frozenset()), ends(cheats, tier, EVERY)
    rows = []
    for layer in layers:
        without, alone = ends(cheats, tier, frozenset({layer})), ends(cheats, tier, EVERY - {layer})
        probes = [name for name, end in without.items() if end != whole[name]]
        stops = [name for name, end in alone.items() if end != bare[name] and end != "pays"]
        rows.append(Row(layer, probes, stops))
    return rows


def main(*, json: bool = False, tier: Literal["linux-landlock", "linux-full"] = "linux-landlock") -> None:
    rows = prove(tier, harmless(corpus.load(corpus.SHIPPED)))
    if json:
        print(msgspec.json.encode(rows).decode())
        return
    for row in rows:
        print(f"{row.layer}\n  without it, end otherwise: {', '.join(row.probes) or '-'}")
        print(f"  with it alone, are stopped: {', '.join(row.alone) or '-'}")
