"""The contract of a sandbox as a test class, for every tier and every machine.

    class TestHere(SandboxContract):
        tier = "linux-landlock"

pytest collects the inherited tests. Nothing here imports pytest. They run real children: an honest candidate has to
answer, the canaries of the self-test have to fail, and what a candidate does to itself has to cost nobody else.
"""

from __future__ import annotations

import numpy as np

from toprope.protocols import Dialogue, Outputs
from toprope.sandbox.box import Case, Job, JobResult, Sandbox
from toprope.sandbox.memory import PublicMemory
from toprope.sandbox.selftest import prove
from toprope.space import Space, choice
from toprope.types import Array, Call, Floats, Limits, Outcome, Round

LIMITS = Limits(wall_s=1.0, cpu_s=0.3, memory_mb=256)
ACTS = ("ok", "raise", "spin", "exit", "wrong", "late")
CANDIDATE = b"""
import os
import numpy as np

def answer(x, *, params):
    act = params["act"]
    if act == "raise":
        raise ValueError("asked to")
    while act == "spin":
        pass
    if act == "exit":
        os._exit(0)
    return np.zeros(3) if act == "wrong" else x * 2
"""
ENDS = [Outcome.OK, Outcome.CRASH, Outcome.TIMEOUT, Outcome.CRASH, Outcome.INVALID, Outcome.OK]


class SandboxContract:
    """Inherit, set `tier`; define `make_sandbox` for a sandbox that is made in another way."""

    tier = "linux-landlock"

    def make_sandbox(self, limits: Limits) -> Sandbox:
        """A sandbox that is ready for jobs."""
        return Sandbox(limits, tier=self.tier)

    def _played(self, acts: tuple[str, ...]) -> tuple[JobResult, Floats]:
        """The job's result, and (k, 2) answers of its variants to the array [1, 2]."""
        space = Space([choice("act", list(ACTS))])
        rows = np.array([space.encode({"act": act}) for act in acts])
        answers = np.full((len(acts), 2), np.nan)

        def dialogue(entries: frozenset[str]) -> Dialogue:
            return (yield Round((Call("answer", ("x",), returns=(Array("y", "f8", (2,)),)),)))

        def on_case(_: int, outputs: Outputs, alive: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> None:
            answers[alive] = outputs["y"][alive]

        with self.make_sandbox(LIMITS) as box, PublicMemory.of({"x": np.array([1.0, 2.0])}) as memory:
            job = Job({"solution.py": CANDIDATE}, space, rows, ["answer"], True)
            return box.run(job, [Case(memory, 0, dialogue)], on_case), answers

    def test_an_honest_candidate_answers(self) -> None:
        """Its answers come back exactly."""
        result, answers = self._played(("ok",))
        assert result.outcomes == [Outcome.OK]
        assert answers.tolist() == [[2.0, 4.0]]

    def test_each_variant_ends_by_itself(self) -> None:
        """Errors, endless loops, exits and wrong shapes end their own variant; neighbours answer."""
        result, answers = self._played(ACTS)
        assert result.outcomes == ENDS, result.messages
        for outcome, answer in zip(ENDS, answers, strict=True):
            assert (answer.tolist() == [2.0, 4.0]) == (outcome is Outcome.OK)
        assert "asked to" in result.messages[1]

    def test_the_canaries_fail(self) -> None:
        """No layer of the tier lets one of the self-test's programs through."""
        report = prove(self.tier)
        assert report.ok, {name: layer.detail for name, layer in report.layers.items() if not layer.ok}

    def test_it_says_how_it_protects(self) -> None:
        """The record that is stored with every result names the tier and whether anything is off."""
        with self.make_sandbox(LIMITS) as box:
            assert (box.protection["tier"], box.protection["protected"], box.protection["off"]) == (self.tier, True, [])
