"""The contract of a task as a test class, for our tasks and those of other packages. It takes about a minute.

    class TestMine(TaskContract):
        def make_task(self):
            return MyTask("my/task-v1")

It tests what a scorer relies on. pytest collects the inherited tests. This module does not import pytest. `toprope
check` measures whether a task is worth climbing (headroom, resolution, null-skill twin).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, get_args

import numpy as np

from toprope.executors.messages import Done, Work
from toprope.models.limits import key
from toprope.models.messages import SCRIPTED, Question, Reply
from toprope.protocols import Counting, Decoy, Secret, Task, counting, has_script
from toprope.referee.draws import DrawStore
from toprope.referee.scorer import Scorer
from toprope.sandbox.box import Sandbox
from toprope.sandbox.selftest import best_tier
from toprope.seeding import derive
from toprope.space import Space, several
from toprope.tasks.mark import digest
from toprope.types import Block, Draw, Outcome, Split, Tree

DRAWS = 3  # draws of each split that are tested
SPLITS: tuple[Split, ...] = get_args(Split)
SECRET = b"toprope task contract"


def drawn(task: Task, split: Split, index: int, seed: int = 0) -> Draw:
    """A draw with a seed of its own, as in a run, so that a task need not mix the index into it."""
    return task.generate(split, index, derive(SECRET, split, index, seed))


class TaskContract:
    """Inherit from it and define `make_task`, which returns a new object of the task at every call."""

    def make_task(self) -> Task:
        raise NotImplementedError("give make_task: a new object of the task at every call")

    def ready(self) -> Task:
        """A task that is prepared for every split."""
        task = self.make_task()
        for split in SPLITS:
            task.prepare(split, lambda what, done: None)
        return task

    def test_it_has_every_part(self) -> None:
        """It has all members of `protocols.Task`, an id of the form family/name-vN and a licence; a secret has a
        remedy."""
        task = self.make_task()
        members = (*Task.__annotations__, *(m for m in vars(Task) if not m.startswith("_")))
        assert [m for m in members if not hasattr(task, m)] == []
        assert re.fullmatch(r"[a-z0-9-]+/[a-z0-9-]+-v[1-9][0-9]*", task.spec.id), task.spec.id
        assert task.spec.entries, "no entry point is declared"
        assert task.spec.licence
        if task.secret is not None:
            assert isinstance(task.secret, Secret)
            assert task.secret.name
            assert task.secret.remedy

    def test_a_draw_is_a_function_of_its_arguments(self) -> None:
        """Draws that another object makes in another order are the same, including private parts; with another seed
        they differ."""
        first, again = self.ready(), self.ready()
        wanted = [(split, i) for split in SPLITS for i in range(DRAWS)]
        made = {at: digest(drawn(first, *at)) for at in wanted}
        assert [at for at in reversed(wanted) if made[at] != digest(drawn(again, *at))] == []
        assert [at for at in wanted if made[at] == digest(drawn(again, *at, seed=1))] == []

    def test_a_draw_leaves_global_randomness_alone(self) -> None:
        """`generate` neither uses nor changes numpy's global random state."""
        task = self.ready()
        np.random.seed(1)
        before = np.random.get_state()[1].tobytes()  # type: ignore[index]
        made = digest(drawn(task, "dev", 0))
        assert np.random.get_state()[1].tobytes() == before, "generate changed numpy's global state"  # type: ignore[index]
        np.random.seed(2)
        assert digest(drawn(task, "dev", 0)) == made, "generate uses numpy's global state"

    def test_what_candidates_are_given_is_arrays_of_numbers(self) -> None:
        """Public arrays hold bools, integers or finite floats, and take at most a quarter of a child's memory."""
        task = self.ready()
        for split in SPLITS:
            public = drawn(task, split, 0).public
            assert [name for name, a in public.items() if a.dtype.kind not in "buif"] == []
            assert sum(a.nbytes for a in public.values()) <= task.spec.limits.memory_mb / 4 * 2**20
            assert all(np.isfinite(a).all() for a in public.values() if a.dtype.kind == "f")

    def test_there_is_room_between_floor_and_ceiling(self) -> None:
        """The ceiling lies above the floor on average over a few draws of every split."""
        task = self.ready()
        for split in SPLITS:
            draws = [drawn(task, split, i) for i in range(2 * DRAWS)]
            assert sum(d.ceiling - d.floor for d in draws) > 0, f"no room on {split}"

    def test_the_null_twin_looks_the_same(self) -> None:
        """It has the same public part and different gold, in at least one of eight twins: a task may flip a coin."""
        task = self.ready()
        draw = drawn(task, "measure", 0)
        before = digest(draw)
        twins = [task.null(draw, np.random.default_rng(seed)) for seed in range(8)]
        assert digest(draw) == before, "null changed the draw that it was given"
        assert all(digest(twin.public) == digest(draw.public) for twin in twins)
        gold = digest([draw.private, draw.floor, draw.ceiling])
        assert any(digest([twin.private, twin.floor, twin.ceiling]) != gold for twin in twins)

    def test_a_candidate_without_entry_points_is_refused(self) -> None:
        """`dialogue` raises ValueError with a message for its author."""
        task = self.ready()
        said = ""
        try:
            next(task.dialogue(drawn(task, "dev", 0), frozenset()))
        except ValueError as e:
            said = str(e)
        assert said, "a candidate without entry points was accepted, or refused without a message"

    def test_the_starter_and_all_baselines_score(self) -> None:
        """In the sandbox they get finite scores on practice and on hidden draws."""
        task = self.ready()
        with scorer(task) as s:
            for name, (tree, params) in _candidates(task).items():
                for split in ("dev", "measure"):
                    done = scored(s, tree, [params], split)
                    why = done.result.messages.get(0, "")
                    assert done.result.outcomes == [Outcome.OK], f"{name} on {split}: {done.result.outcomes[0]} {why}"
                    assert np.isfinite(done.result.scores).all(), f"{name} on {split}"

    def test_neighbours_in_a_block_change_nothing(self) -> None:
        """Variants that are scored together get the same scores as each by itself."""
        task = self.ready()
        if task.space is None:
            return
        rng = np.random.default_rng(0)
        rows = rng.integers(0, task.space.sizes.astype(int) + 1, (3, len(task.space.dims))).astype(np.uint8)
        variants = [task.space.decode(row) for row in (task.space.default(), *rows)]
        with scorer(task) as s:
            together = scored(s, task.starter(), variants, space=task.space).result
            for i, variant in enumerate(variants):
                alone = scored(s, task.starter(), [variant], space=task.space).result
                assert alone.outcomes[0] == together.outcomes[i], variant
                assert np.allclose(alone.scores[0], together.scores[i], rtol=0, atol=1e-6, equal_nan=True), variant

    def test_a_decoy_is_no_gold(self) -> None:
        """A decoy has array names of its own and is random; the task may have none."""
        task = self.ready()
        draw = drawn(task, "dev", 0)
        decoy = task.decoy(draw, np.random.default_rng(0))
        if decoy is None:
            return
        assert isinstance(decoy, Decoy)
        assert decoy.arrays
        assert not set(decoy.arrays) & set(draw.public), "a decoy's array has the name of a public one"
        other = task.decoy(draw, np.random.default_rng(1))
        assert other is not None
        assert digest(other.arrays) != digest(decoy.arrays), "a decoy has to be random"

    def test_what_it_counts_is_summed_over_draws(self) -> None:
        """A task with a tally does not accuse its own starter."""
        task: Task | Counting = self.ready()
        if counting(task):
            with scorer(task) as s:
                done = scored(s, task.starter(), [_default(task)])
            assert [i for i in done.result.incidents.get(0, []) if i.severity == "certain"] == []


def _default(task: Task) -> dict[str, Any]:
    return dict(task.space.decode(task.space.default())) if task.space is not None else {}


def _candidates(task: Task) -> dict[str, tuple[Tree, dict[str, Any]]]:
    published = {name: (b.tree, b.params) for name, b in task.baselines().items() if not b.tuned}
    return {"starter": (task.starter(), _default(task)), **published}


@contextmanager
def scorer(task: Task) -> Iterator[Scorer]:
    """The real scorer with the best sandbox of this machine, in this process."""
    with Sandbox(task.spec.limits, profile=task.spec.profile, tier=best_tier().tier) as box:
        store = DrawStore(task, dict.fromkeys(SPLITS, SECRET))
        try:
            yield Scorer(task, box, store, pass_on=lambda question: _scripted(task, question))
        finally:
            store.close()


def _scripted(task: Task, question: Question) -> Reply:
    """The task's own script in place of the model that its candidates may ask."""
    assert has_script(task), "a task with a model needs scripted()"
    text = task.scripted([(m.role, m.content) for m in question.messages], question.sample)
    return Reply(key(SCRIPTED, question), text, 0)


def scored(
    s: Scorer, tree: Tree, variants: list[dict[str, Any]], split: Split = "dev", space: Space | None = None
) -> Done:
    """Scores a block of variants on the first draws of a split. space: that they are points of; None: one made for
    them."""
    own, rows = several(variants) if space is None else (space, np.stack([space.encode(v) for v in variants]))
    s.trees[tree.digest], s.spaces[own.digest] = tree, own
    block = Block(tree.digest, own.digest, rows, tuple(range(DRAWS)))
    return s.score(Work(0, block, split, detail=split == "dev"))
