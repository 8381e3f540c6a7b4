"""One-line descriptions of Debian packages. A concept is a fact about one: its section, debtags, dependencies, team."""

from __future__ import annotations

import random
import re
from collections import defaultdict
from pathlib import Path

from studies.w2s.banks.source import Concept, Rows, Source, distinct, filled

EACH = 2750  # packages wanted of each fact: enough for the draws of both halves of a hidden bank
WORDS = range(4, 25)
NOTICE = (
    "descriptions, sections, debtags and dependencies of Debian 12 packages, each under its own package's licence. The "
    "bank holds activations and facts, no text"
)
GROUPS = {  # sections that are too small alone
    "a programming language": "python perl haskell rust golang javascript java ruby php ocaml lisp gnu-r cli-mono",
    "for the eyes and ears": "games sound graphics video x11 gnome kde fonts xfce",
    "networks": "net web mail httpd comm news",
    "running a machine": "admin kernel shells utils database otherosfs debug",
    "science": "science math electronics gnu-r hamradio education",
}


def source(path: Path, rng: random.Random) -> Source:
    """path: what `apt-cache dumpavail` printed."""
    texts, origins, facts, tagged = [], [], [], []
    seen: set[str] = set()
    for block in path.read_text(encoding="utf-8", errors="replace").split("\n\n"):
        field: dict[str, str] = dict(re.findall(r"^([\w-]+): (.*(?:\n .*)*)", block, re.M))
        text = field.get("Description", "").partition("\n")[0].strip()
        if len(text.split()) not in WORDS or text.lower() in seen:
            continue
        seen.add(text.lower())
        texts.append(text)
        origins.append(field.get("Source", field["Package"]).partition(" (")[0])
        facts.append(_facts(field))
        tagged.append("Tag" in field)
    have: dict[tuple[str, str], set[int]] = defaultdict(set)
    for row, of_row in enumerate(facts):
        for fact in of_row:
            have[fact].add(row)
    wide = {fact: frozenset(rows) for fact, rows in have.items() if len(rows) >= EACH}
    chosen = filled(wide.values(), EACH, rng)
    new = {row: i for i, row in enumerate(chosen)}
    sets = {fact: frozenset(new[r] for r in rows if r in new) for fact, rows in wide.items()}
    with_tags = frozenset(i for row, i in new.items() if tagged[row])
    return Source(
        "Debian package descriptions",
        [texts[row] for row in chosen],
        [origins[row] for row in chosen],
        distinct(_concepts(sets, with_tags, frozenset(range(len(chosen))))),
        "one-line descriptions of Debian 12 packages (`apt-cache dumpavail`), labels from their other fields",
        NOTICE,
    )


def _facts(field: dict[str, str]) -> set[tuple[str, str]]:
    """(kind, what) of each fact of a package."""
    section = field.get("Section", "").rpartition("/")[2]
    found = {("section", section), ("architecture", field.get("Architecture", ""))}
    found |= {("section", name) for name, members in GROUPS.items() if section in members.split()}
    found |= {("debtag", tag) for tag in re.findall(r"[^\s,]+", field.get("Tag", ""))}
    found |= {("dependency", name) for name in re.findall(r"(?:^|[,|] )([a-z0-9.+-]+)", field.get("Depends", ""))}
    found |= {("field", name) for name in ("Suggests", "Recommends", "Provides", "Breaks", "Tag") if name in field}
    found |= {("multi-arch", field.get("Multi-Arch", "no"))}
    found.add(("team", re.sub(r" ?<.*", "", field.get("Maintainer", ""))))
    found |= {("homepage", host) for host in re.findall(r"^https?://([^/\s]+)", field.get("Homepage", ""))}
    size = int(field.get("Installed-Size", "0"))
    found |= {("installed size", f"above {kb} KB") for kb in (100, 400, 2000) if size > kb}
    return found


def _concepts(sets: dict[tuple[str, str], Rows], tagged: Rows, all_: Rows) -> dict[str, Concept]:
    """Each fact against all other packages. A package without debtags says nothing about a tag. Some facts again among
    packages of one architecture, which divides programs and libraries from what needs no compiler."""
    order = sorted(sets, key=lambda fact: (-len(sets[fact]), fact))
    found = {
        f"{kind}: {what}": Concept(kind, sets[kind, what] & among, among)
        for kind, what in order
        for among in [tagged if kind == "debtag" else all_]
    }
    parents = [(kind, what) for kind, what in order if kind == "architecture"]
    for parent in parents:
        for kind, what in order:
            if kind != "architecture":
                among = sets[parent] & (tagged if kind == "debtag" else all_)
                name = f"{kind}: {what}, among {parent[1]}"
                found[name] = Concept(f"{kind} within an architecture", sets[kind, what] & among, among)
    return found
