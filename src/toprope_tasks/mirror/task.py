"""The mirror tasks as the engine sees them: make a draw, run its cases, judge the bytes that come back.

Hidden score: the share of a draw's cases answered to the byte (stdout, stderr, exit code). Practice score: the same on
the shown cases, with partial credit for those that are not exact, so that there is a slope to climb.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from toprope.errors import UsageError
from toprope.protocols import Baseline, Decoy, Dialogue, Outputs, Progress, Secret
from toprope.stats.tails import binomial_upper_tail
from toprope.tasks.folder import FolderTask
from toprope.tasks.spec import with_tuned
from toprope.types import Array, Call, Draw, Floats, Incident, Round, Split, Tree
from toprope_tasks.mirror import instance, paper, suite
from toprope_tasks.mirror.dice import Dice
from toprope_tasks.mirror.packing import ProgramAnswer, ProgramCase, credit, exact, parse, row
from toprope_tasks.mirror.programs import Example, MirrorProgram
from toprope_tasks.mirror.suite import CASES, WIDTH, SuiteGold

PROOF = 1e-12  # chance that an honest candidate is accused, as for the other honeypots (referee/honeypots.py)
HINT = 1e-6


class Mirror(FolderTask):
    """One program. A subclass names it, its space, and its baselines."""

    program: ClassVar[MirrorProgram]
    read: ClassVar[tuple[str, ...]] = ()  # questions of the sketch that the first page of the manual answers

    def __init__(self, task_id: str, own: instance.Instance = instance.PUBLIC) -> None:
        super().__init__(task_id)
        self._speak(own)

    def _speak(self, own: instance.Instance) -> None:
        self._own, self.dialect = own, self.program.dialect(Dice(own.secret, "dialect", self.program.name))

    @property
    def secret(self) -> Secret:
        """Which dialect: `public demo dialect`, or `private dialect` and a hash. Practice draws are of the same one."""
        public = self._own.secret == instance.DEMO
        return Secret("dialect", self._own.name, public, f"toprope vault make {self.spec.id}", shared=True)

    def open_secret(self, vault: Path) -> None:
        """Uses the vault's dialect, if it has one."""
        self._speak(instance.load(vault))

    def make_secret(self, vault: Path, seed: int | None, progress: Progress) -> Path:
        """Makes a dialect of 32 random bytes. Raises UsageError for a seed."""
        if seed is not None:
            raise UsageError(f"--seed {seed}: a dialect is made from random bytes only; leave the seed out")
        return Path(instance.make(vault)["path"])

    def generate(self, split: Split, index: int, seed: int) -> Draw:
        return suite.generate(self.program, self.dialect, self._own, split, index, seed)

    def dialogue(self, draw: Draw, entries: frozenset[str]) -> Dialogue:
        """`main(argv, stdin, files)` once per case. Raises ValueError if the candidate has no `main`."""
        if "main" not in entries:
            raise ValueError("solution.py defines no main; expected main(argv, stdin, files) -> (stdout, stderr, code)")
        return _talk()

    def score(self, outputs: Outputs, draw: Draw) -> Floats:
        """(k,) mean over the cases that count: exact, or on practice draws partial credit."""
        gold: SuiteGold = draw.private
        worth = exact(outputs["answers"], gold.rows).astype(np.float64)
        if gold.key:
            worth = _coins(outputs["answers"], gold.key)
        elif gold.partial:
            for k, i in np.argwhere((worth == 0) & gold.shown).tolist():
                worth[k, i] = credit(parse(outputs["answers"][k, i].tobytes()), gold.gold[i])
        return np.asarray(worth[:, gold.shown].mean(axis=1))

    def null(self, draw: Draw, rng: np.random.Generator) -> Draw:
        """A coin that depends on a random key and the answer decides whether it is right: everybody's mean is 1/2."""
        private = msgspec.structs.replace(draw.private, key=rng.bytes(16))
        return msgspec.structs.replace(draw, private=private)

    # ------------------------------------------------------------ honeypots

    def decoy(self, draw: Draw, rng: np.random.Generator) -> Decoy:
        """Answers like the true ones, each wrong in one of two ways by a coin."""
        coins = rng.integers(0, 2, CASES) == 1
        cases: Sequence[ProgramCase] = draw.private.cases
        said = [suite.wrong(self.program.run(self.dialect, c), 1 + int(up)) for c, up in zip(cases, coins, strict=True)]
        rows = np.stack([row(answer, WIDTH) for answer in said])
        return Decoy({"gold": rows}, rows)

    def agreement(self, outputs: Outputs, draw: Draw, coins: Any) -> tuple[NDArray[np.int64], int]:
        """An answer can be one of the two at most, so it is the planted one with chance one half at most."""
        return exact(outputs["answers"], coins).sum(axis=1), CASES

    def tally(self, outputs: Outputs, draw: Draw) -> NDArray[np.int64]:
        """(k, 4) on practice draws: pairs of which only the shown one is right, pairs of which only the dual is, errata
        shown, errata answered as shown. Zeros on hidden draws."""
        gold: SuiteGold = draw.private
        right = exact(outputs["answers"], gold.rows)
        found = np.zeros((len(right), 4), np.int64)
        if not gold.partial or gold.key:
            return found
        shown = np.flatnonzero(gold.shown & (np.arange(CASES) != gold.erratum))
        ours, duals = right[:, shown], right[:, gold.dual[shown]]
        found[:, 0], found[:, 1] = (ours & ~duals).sum(axis=1), (~ours & duals).sum(axis=1)
        if gold.erratum >= 0:
            found[:, 2], found[:, 3] = 1, right[:, gold.erratum]
        return found

    def accuse(self, tally: NDArray[np.int64], draws: int) -> list[Incident]:
        """What the counts prove. Errata: each is answered as shown with chance 1 / ALTERATIONS at most. Duals: of pairs
        that differ, the shown one is the right one by a fair coin."""
        only_shown, only_dual, errata, taken = tally.tolist()
        found = []
        if taken:
            chance = math.comb(errata, taken) * float(suite.ALTERATIONS) ** -taken
            said = f"gives {taken} of {errata} wrong answers exactly as shown, chance {chance:.0e}"
            found.append(Incident("errata", "certain" if taken >= 2 and chance <= PROOF else "advisory", said))
        chance = binomial_upper_tail(only_shown, only_shown + only_dual, 0.5) if only_shown else 1.0
        if chance <= HINT:
            said = f"right on {only_shown} shown cases and wrong on their duals, the other way round {only_dual} times"
            severity = "certain" if chance <= PROOF else "advisory"
            found.append(Incident("dual gap", severity, f"{said}, chance {max(chance, 1e-300):.0e}, {draws} draws"))
        return found

    # ------------------------------------------------------------ for people

    @cached_property
    def examples(self) -> list[Example]:
        return [Example(c, self.program.run(self.dialect, c)) for c in self.program.examples(self.dialect)]

    @cached_property
    def _starter(self) -> Tree:
        """The sketch, with the tables of the documentation beside it."""
        words = f'"""Copied from the documentation."""\n\nWORDS = {dict(self.program.words(self.dialect))!r}\n'
        return Tree({**super()._starter.files, "words.py": words.encode()})

    def baselines(self) -> Mapping[str, Baseline]:
        found = {name: b for name, b in super().baselines().items() if not b.tuned}
        source = "shortcut: the documentation's own examples, and nothing else"
        found["examples"] = Baseline(paper.lookup(self.examples), {}, source)
        last = self.examples[-1].answer
        found["constant"] = Baseline(paper.constant(last), {}, "null: one and the same error, the commonest answer")
        first = {name: getattr(self.dialect, name) for name in self.read}
        source = "the sketch after reading one section of the manual"
        assert self.space is not None
        rest = tuple(d.name for d in self.space.dims if d.name not in first)
        found["first page"] = Baseline(self.starter(), first, source, own=rest)
        public = self._own.secret == instance.DEMO  # what is tuned for one dialect says nothing of another
        return with_tuned(self._folder, self.spec.id, found) if public else found

    def run_program(self, argv: Sequence[bytes], stdin: bytes, files: Mapping[bytes, bytes]) -> ProgramAnswer:
        """The reference's answer."""
        return self.program.run(self.dialect, ProgramCase(tuple(argv), stdin, tuple(files.items())))

    def brief(self, dev: Sequence[Draw]) -> dict[str, bytes]:
        """The public part: documentation, shown cases (some wrong), the sketch, and a script that runs cases."""
        return paper.brief(self.spec, self.program.docs(self.dialect), self.examples, dev, self.starter())


def _talk() -> Dialogue:
    answers = Array("answers", "u1", (CASES, WIDTH), 0, 255)
    outputs = yield Round((Call("main", returns=(answers,), each="cases"),))
    return outputs


def _coins(answers: NDArray[np.uint8], key: bytes) -> Floats:
    """(k, n) zeros and ones: a bit of a keyed hash of the answer and its place."""
    k, n, _ = answers.shape
    bits = [
        hashlib.blake2b(answers[i, j].tobytes(), key=key, salt=b"%d" % j).digest()[0] & 1
        for i in range(k)
        for j in range(n)
    ]
    return np.array(bits, np.float64).reshape(k, n)
