"""Corpus, language models and the bank."""

import json
import multiprocessing
import sys
from pathlib import Path

import numpy as np
import pytest

from toprope.errors import UsageError
from toprope_tasks.w2s import cells, corpus, lm, pretrain, states, task

DIGITS = np.array([[3, 9, 4, 9, 0]])


@pytest.mark.parametrize(
    ("op", "right"),
    list(zip(corpus.OPS, [9, 0, 3, 0, 6, 4, 4, 2, 9, 1], strict=True)),
)
def test_operations(op, right):
    """Each operation gives, on 3 9 4 9 0, what one works out by hand."""
    assert corpus.all_answers(DIGITS)[0, corpus.OPS.index(op)] == right


def test_lines_end_with_the_right_answer():
    """Every line ends `a .` with the right answer, and three in ten show a wrong one before it."""
    lines = corpus.lines(4000, np.random.default_rng(0))
    right = corpus.answers(lines[:, 0] - corpus.FIRST_OP, lines[:, 1:6])
    wrong_shown = lines[:, 8] == corpus.WRONG
    assert abs(wrong_shown.mean() - 0.3) < 0.03
    assert np.array_equal(np.where(wrong_shown, lines[:, 9], lines[:, 7]), right)
    assert np.all(lines[wrong_shown, 7] != right[wrong_shown])
    assert np.all(np.where(wrong_shown, lines[:, 10], lines[:, 8]) == corpus.STOP)


@pytest.mark.parametrize(("which", "shape"), [("strong", lm.STRONG), ("weak", lm.WEAK)])
def test_numpy_forward_equals_torch(which, shape):
    """Hidden states of the shipped weights equal those PyTorch computed (the study `w2s/torch_states`) within 1e-4."""
    with np.load(Path(__file__).with_name("torch_states.npz")) as recorded:
        weights = dict(zip(("strong", "weak"), lm.load(task.VISIBLE[0]), strict=True))[which]
        states = lm.states(weights, shape, recorded["tokens"].astype(np.int64))
        assert np.abs(recorded[which]).max() > 0.5
        np.testing.assert_allclose(states, recorded[which], atol=1e-4)


@pytest.mark.parametrize("path", [*task.VISIBLE, task.DEMO], ids=lambda p: p.stem)
def test_shipped_weights_are_the_recorded_ones(path):
    """The hash in the json beside a weights file is the hash of the weights."""
    record = json.loads(path.with_suffix(".json").read_text())
    for which, weights in zip(("strong", "weak"), lm.load(path), strict=True):
        assert lm.digest(weights) == record[which]["sha256"]


def test_strong_knows_what_weak_does_not():
    """On the operations in use the strong model is nearly always right, the weak one two times in three at most."""
    rng = np.random.default_rng(3)
    ops, digits = rng.choice(cells.USABLE, 1000), rng.integers(0, 10, (1000, 5))
    rates = []
    for weights, shape in zip(lm.load(task.DEMO), (lm.STRONG, lm.WEAK), strict=True):
        logits = lm.logits(weights, lm.states(weights, shape, corpus.prompts(ops, digits)))
        rates.append(np.mean(logits[:, :10].argmax(1) == corpus.answers(ops, digits)))
    assert rates[0] > 0.95
    assert rates[1] < 0.67


def test_pretraining_without_torch_says_what_to_install(monkeypatch, tmp_path):
    """Without PyTorch, pretraining ends with one line naming the extra."""
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(UsageError, match=r"toprope\[torch\]"):
        pretrain.pretrain(0, tmp_path / "w.npz", lambda what, done: None)


def _open(folder, queue):
    import os

    os.environ["TOPROPE_CACHE"] = folder
    built = states.open_bank(task.VISIBLE[0], lambda what, done: None, 100)
    queue.put(np.asarray(built.strong).tobytes())


def test_two_processes_may_build_a_bank_at_once(tmp_path):
    """Both end with the same bank, one folder is left, and nothing half-built."""
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    workers = [context.Process(target=_open, args=(str(tmp_path), queue)) for _ in range(2)]
    for worker in workers:
        worker.start()
    first, second = queue.get(timeout=60), queue.get(timeout=60)
    for worker in workers:
        worker.join()
    assert first == second
    assert len(list((tmp_path / "w2s").iterdir())) == 1


def test_bank_is_read_from_the_cache_and_reports_progress(tmp_path, monkeypatch):
    """The second opening computes nothing; the first reports fractions up to one."""
    monkeypatch.setenv("TOPROPE_CACHE", str(tmp_path))
    seen = []
    first = states.open_bank(task.VISIBLE[0], lambda what, done: seen.append(done), 100)
    assert seen[-1] == 1.0
    again = states.open_bank(task.VISIBLE[0], lambda what, done: pytest.fail("computed again"), 100)
    assert np.array_equal(first.strong, again.strong)
    assert isinstance(again.strong, np.memmap)
    np.testing.assert_allclose(first.weak.mean(0), 0, atol=1e-4)
