"""The tools of a climber cheat: a referee to ask, the command line, and candidates made from the task's starter.

rig.starter, rig.best        the champion every run begins with, and a baseline that beats it (or NotHere)
rig.choosing(source, **x)    a candidate that picks its parameters draw by draw: source defines choose(digest, plan)
rig.referee()                one live referee that the cheats of a task share; rig.referee("own") is a fresh run
rig.hasty()                  a referee whose answers leave at the task's first release slot, even if work is not done
referee.attempt(candidate)   one bit; referee.submit and answer do it step by step, kill_at_work with a crash between
rig.cli(...)                 the real command line on runs of the rig's own vault
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from toprope import wire
from toprope.assay.redteam.candidate_range import PRACTICE, CandidateRange
from toprope.errors import RunError
from toprope.executors.messages import Work
from toprope.journal.ledger import read_entries
from toprope.journal.records import record
from toprope.referee.client import HubClient
from toprope.referee.messages import HubConfig, HubReady, Unseal
from toprope.referee.recorded import Answer, Opened
from toprope.referee.schedule import base_delay_exponent
from toprope.referee.vault import Vault
from toprope.run.rerun import Isolated
from toprope.seeding import derive, run_secret
from toprope.space import several
from toprope.types import Block, Candidate, Draw, Floats, Incident, Split

BEGIN_S = 60.0  # within which hidden scorers begin to work, on a busy machine too
FRESH_SLICE = 10**6 + 1  # of `measure`: draws that were never made before
CHOOSE = "seen = []\n\n\ndef choose(digest, plan):\n    return {}\n"
ANSWER = """import numpy as np


def forge(answer, plan):
    x = next(a for a in plan.arrays if getattr(a, "ndim", 0) == 2)
    parts = answer if isinstance(answer, tuple) else (answer,)
    said = (lambda answer: {})(parts[0])
    return (said, *parts[1:]) if isinstance(answer, tuple) else said
"""


class NotHere(Exception):
    """The strategy does not apply to this task; the message says why."""


class Inconclusive(Exception):
    """Strategies cannot act on this task, so none of them could pay off. This is a fault of the test."""


class Referee:
    """One run's hub, with all attempts and answers. base_delay_exponent: of its answers (`referee/schedule.py`)."""

    def __init__(self, config: HubConfig, base_delay_exponent: int) -> None:
        self.run, self._pace = config.run, base_delay_exponent
        self._hub = HubClient(config)
        self._hub.wait_ready()
        self.answers: list[Answer] = []
        self.asked: set[tuple[str, int]] = set()  # candidate and slice
        self.sent: dict[str, Candidate] = {}
        self._burned = 0

    @property
    def ready(self) -> HubReady:
        return self._hub.ready

    def attempt(self, candidate: Candidate, base_delay_exponent: int | None = None) -> Answer:
        self.submit(candidate, base_delay_exponent)
        return self.answer()

    def submit(self, candidate: Candidate, base_delay_exponent: int | None = None) -> None:
        self.sent[candidate.id] = candidate
        self._hub.submit(candidate, self._pace if base_delay_exponent is None else base_delay_exponent)

    def answer(self) -> Answer:
        answer = self._hub.answer()
        if not any(a.promoted and a.candidate == answer.candidate for a in self.answers):
            self.asked.add((answer.candidate, self._burned + 1))
        self.answers.append(answer)
        self._burned = max(self._burned, answer.slice if answer.promoted else 0)
        return answer

    def open_test(self, candidate: Candidate) -> Opened:
        return self._hub.open_test(Unseal(candidate), lambda *_: None)

    def kill_at_work(self, candidate: Candidate) -> None:
        """Submits a candidate, and kills the hub with SIGKILL, like a crash, as soon as its scorers work; the client
        starts another. Raises Inconclusive if they do not begin."""
        idle = self._scorers_ran_ns()
        self.submit(candidate)
        end = time.monotonic() + BEGIN_S
        while self._scorers_ran_ns() <= idle:
            if time.monotonic() > end:
                raise Inconclusive(f"no hidden scorer began to work within {BEGIN_S:.0f} s")
            time.sleep(0.005)
        os.kill(self._hub.pid, signal.SIGKILL)

    def _scorers_ran_ns(self) -> int:
        """The time that processes which the hub has started were on a CPU."""
        ran = 0
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):  # it has ended
                if int((folder / "stat").read_text().rpartition(")")[2].split()[1]) == self._hub.pid:
                    ran += int((folder / "schedstat").read_text().split()[0])
        return ran

    def close(self) -> None:
        self._hub.close()


class ClimberRange:
    """Everything that strategies against one task share. A context manager."""

    def __init__(self, stage: CandidateRange) -> None:
        self.stage, self.task, self.tier = stage, stage.task, stage.tier
        self.rehearsal = f"red team {stage.seed}"  # with this secret the draws of a run are known here
        self.rng = np.random.default_rng(stage.seed)  # of the current strategy
        self.starter = Candidate(self.task.starter(), stage.params)
        self._exit = contextlib.ExitStack()
        self.folder = Path(self._exit.enter_context(tempfile.TemporaryDirectory(prefix="toprope-redteam-")))
        self.vault = Vault(self.folder / "vault")
        self._referees: dict[str, Referee] = {}
        self.used: list[Referee] = []
        self.incidents: list[Incident] = []  # of this strategy's candidates on practice draws
        self._before = 0

    def __enter__(self) -> ClimberRange:
        return self

    def __exit__(self, *_: object) -> None:
        self._exit.close()

    # ------------------------------------------------------------ for the judge

    def begin(self, name: str) -> None:
        """Prepares for a new strategy: a generator of its own, and empty records."""
        self.used, self.incidents = [], []
        self._before = sum(len(r.answers) for r in self._referees.values())
        self.rng = np.random.default_rng(derive(b"red team", self.stage.seed, name))

    def summary(self) -> str:
        """A line about the answers that the strategy got."""
        answers = sum(len(r.answers) for r in self._referees.values()) - self._before
        promoted = sum(a.promoted for r in self.used for a in r.answers)
        return f"{answers} answers, {promoted} PROMOTE on that run" if answers else "no attempt was made"

    @cached_property
    def honest_climb(self) -> str:
        """What is wrong with one honest attempt: empty if it is counted, answered, and promoted if it should be."""
        referee = self._referee("honest", self.rehearsal, self.base_delay_exponent(self.work_s))
        candidate = self.stage.best or self.starter
        answer = referee.attempt(candidate)
        if answer.promoted is not (self.stage.best is not None):
            return f"an honest attempt heard {'PROMOTE' if answer.promoted else 'NOT YET'}"
        if self.vault.attempts("honest") != 1 or answer.attempt != 1:
            return "an honest attempt was miscounted"
        return "" if (answer.measured is not None) is answer.promoted else "an honest attempt was not measured"

    # ------------------------------------------------------------ for strategies

    @property
    def best(self) -> Candidate:
        if self.stage.best is None:
            raise NotHere(f"no baseline of {self.task.spec.id} is the starter with better parameters")
        return self.stage.best

    def referee(self, run: str = "shared", *, certifying: bool = False) -> Referee:
        """The live referee of a run. certifying: with a random secret, like a real run."""
        return self._use(
            self._referee(run, None if certifying else self.rehearsal, self.base_delay_exponent(self.work_s))
        )

    def hasty(self, run: str = "hasty", *, certifying: bool = False) -> Referee:
        """A run whose answers leave at the task's shortest schedule, even if work is cut off: for strategies that are
        about counting and messages, and not about promotions."""
        return self._use(self._referee(run, None if certifying else self.rehearsal, 0))

    def base_delay_exponent(self, expected_s: float) -> int:
        """The smallest exponent whose first release slot is at or after `expected_s`, as in `run/attempts.py`."""
        return base_delay_exponent(expected_s, self.task.spec.splits.tick_s)

    @cached_property
    def work_s(self) -> float:
        """Seconds that the gate needs for a whole slice: candidate and champion, on two scorers."""
        began = time.monotonic()
        self.stage.play(self.starter.tree, "measure", 8, FRESH_SLICE)
        return (time.monotonic() - began) / 8 * self.task.spec.splits.val_slice

    def _use(self, referee: Referee) -> Referee:
        if referee not in self.used:
            self.used.append(referee)
        return referee

    def _referee(self, run: str, rehearsal: str | None, base_delay_exponent: int) -> Referee:
        if run not in self._referees:
            config = HubConfig(run, self.task.spec.id, self.tier, 2, str(self.folder / "vault"), rehearsal)
            self._referees[run] = Referee(config, base_delay_exponent)
            self._exit.callback(self._referees[run].close)
        return self._referees[run]

    def choosing(self, expression: str, **known: Any) -> Candidate:
        """The starter with parameters chosen draw by draw. expression: uses `digest` (32 bytes, of the draw), `plan`
        (`plan.start`, `plan.best`, and the fields in `known`) and `seen`, a list that lives as long as the child.
        Raises NotHere if it names `plan.best` and the task has no such baseline, Inconclusive if a candidate does not
        recognise its draws."""
        _ = self.sighted
        best = self.best.params if "plan.best" in expression else {}
        return self._chooser(expression, best=best, **known)

    def _chooser(self, expression: str, **known: Any) -> Candidate:
        return Candidate(self.stage.wrap(CHOOSE.format(expression), "choose", **known), self.stage.params)

    @cached_property
    def sighted(self) -> bool:
        """True if candidates recognise draws by their digest: a candidate that plays the starter on known draws, and
        fails on others, scores the same as the starter. Raises Inconclusive otherwise."""
        known = sorted(digest.hex() for digest in self.digests("dev", 0, PRACTICE))
        knowing = self._chooser("plan.start if digest.hex() in plan.known else 1 / 0", known=known)
        seen = self.stage.play(knowing.tree, "dev", PRACTICE)
        if np.array_equal(seen.scores, self.stage.practised.scores):
            return True
        raise Inconclusive(
            f"a candidate does not recognise practice draws by the digest for `choose`: {seen.text or seen.outcome}"
        )

    def answering(self, expression: str, **known: Any) -> Candidate:
        """The starter with another answer. expression: uses `answer` (one array of it), `x` (the call's first matrix),
        `plan` and `np`."""
        source = ANSWER.format(expression)
        return Candidate(self.stage.wrap(source, "use", **known), self.stage.params)

    def practice(self, candidate: Candidate, draws: int = 12) -> float:
        """Mean dev score, which is exact, free and not secret; NaN if it fails on every draw."""
        scores = self.stage.play(candidate.tree, "dev", draws, 0, candidate.params).scores
        scored = scores[~np.isnan(scores)]
        return float(scored.mean()) if len(scored) else np.nan

    def tell(self, candidate: Candidate) -> str:
        """The error text of a candidate on a practice draw; its incidents are kept for the judge."""
        seen = self.stage.play(candidate.tree, "dev", 1, 0, candidate.params)
        self.incidents += seen.incidents
        return seen.text

    def digests(self, split: Split, slice_: int, draws: int, secret: bytes | None = None) -> list[bytes]:
        """The digests that `choose` gets on draws of this rig's runs, known to the operator, or after the secret is
        public."""
        secret = secret or run_secret(self.rehearsal)
        name = self.task.spec.id
        return [
            _digest(self.task.generate(split, i, derive(secret, name, split, slice_, i)), self) for i in range(draws)
        ]

    # ------------------------------------------------------------ whole runs, and blocks of siblings

    def run(self, directory: Path, experiments: int = 66, kill_after: int | None = None) -> None:
        """Runs the shipped climber by the real command line. kill_after: kill it after the vault has counted this many
        attempts."""
        options = ["--experiments", experiments, "--workers", 1, "--seed", self.stage.seed, "--tier", self.tier]
        command = [
            "climb",
            self.task.spec.id,
            *options,
            "--run",
            directory,
            "--rehearsal-secret",
            directory.name,
            "--json",
        ]
        process = self._started(*command)
        while kill_after is not None and process.poll() is None:
            if (directory / "ledger.db").exists() and self.attempts_of(directory) >= kill_after:
                process.kill()
            time.sleep(0.02)
        process.communicate()

    def finished(self, name: str) -> Path:
        """A copy of a finished run with its test open and its report written, for forgeries."""
        return Path(shutil.copytree(self._finished, self.folder / name))

    @cached_property
    def _finished(self) -> Path:
        directory = self.folder / "finished"
        self.run(directory)
        done = self.cli("unseal", directory, "--workers", 1, "--report", "--json")
        if done.returncode != 0:
            raise RunError(f"a run of {self.task.spec.id} did not open its test: {done.stderr.strip()}")
        return directory

    def attempts_of(self, directory: Path) -> int:
        """Attempts that the vault has counted for the run in this directory; 0 before the run has a name."""
        with contextlib.suppress(RunError, IndexError):
            return self.vault.attempts(record(read_entries(directory)[0]).run)
        return 0

    def scores(self, candidate: Candidate, draws: int = 8) -> Floats:
        return self.stage.play(candidate.tree, "dev", draws, 0, candidate.params).scores

    @contextlib.contextmanager
    def evaluator(
        self, candidate: Candidate, draws: int = 8
    ) -> Iterator[tuple[Callable[[int], Floats], Callable[[], Any]]]:
        """(block, isolated): functions that return dev scores (k, draws) of k copies in one child, and scores (draws,)
        of a re-run in isolation."""
        space, rows = several([candidate.params])
        tree, digest = self.stage.pool.load(candidate.tree, space)
        isolated = Isolated(self.stage.pool, None, False)

        def block(k: int) -> Floats:
            work = Work(0, Block(tree, digest, rows.repeat(k, axis=0), tuple(range(draws))), "dev")
            (done,) = self.stage.pool.run([work])
            return done.result.scores

        yield block, lambda: isolated.run(candidate, draws).scores

    def cli(self, *args: object) -> subprocess.CompletedProcess[str]:
        """Runs `toprope ...` with the rig's vault to its end."""
        process = self._started(*args)
        out, err = process.communicate()
        return subprocess.CompletedProcess([*map(str, args)], process.returncode, out, err)

    def _started(self, *args: object) -> subprocess.Popen[str]:
        return subprocess.Popen(
            wire.command("toprope.cli", *args),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "TOPROPE_VAULT": str(self.folder / "vault")},
        )


def _digest(draw: Draw, rig: ClimberRange) -> bytes:
    """The digest as inside.py computes it: sha256 over the positional arguments of the first call, without a state."""
    source = rig.task.starter().files["solution.py"]
    entries = frozenset(e for e in rig.task.spec.entries if f"def {e}(".encode() in source)
    opening = next(rig.task.dialogue(draw, entries))
    call, known = opening.calls[0], {**draw.public, **opening.arrays}
    said = hashlib.sha256()
    for name in call.args if (whole := call.each or call.items) is None else (whole,):
        if name in call.texts:
            said.update(json.dumps(json.loads(known[name].tobytes())).encode())
        elif name in known:
            said.update(known[name].tobytes())
    return said.digest()
