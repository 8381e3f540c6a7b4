"""The columns of experiments: what a climber was told, taken up as the ledger grows, and kept for the next time."""

import msgspec
import numpy as np
import pytest
from asking import sound

from toprope.journal import checkpoint
from toprope.journal.ledger import SqliteLedger
from toprope.journal.records import BlockRecord, Generation, SessionRecord
from toprope.run.race import Race, Scored
from toprope.serve import importance
from toprope.serve.book import Book
from toprope.serve.columns import CODE, NAMES, Columns, Query, Table, chosen
from toprope.space import Space, linear
from toprope.types import Anchors, Outcome

SPACE = Space([linear("a", 0, 1, 64, 0), linear("b", 0, 1, 64, 0)])
DRAWS = 8


class Climb:
    """A race over scores that are drawn, with every block and barrier appended to a ledger, as a run does."""

    def __init__(self, folder, seed=0):
        folder.mkdir(parents=True)
        self.rng = np.random.default_rng(seed)
        s = sound(tested=False)
        zeros, ones = np.zeros(DRAWS), np.ones(DRAWS) * 2
        self.opening = msgspec.structs.replace(s.opening, space=SPACE, floors=zeros, ceilings=ones)
        self.ledger = SqliteLedger(folder / "ledger.db", create=True)
        for record in (self.opening.spec, SessionRecord(1), self.opening):
            self.ledger.append(record)
        self.race = Race([1, 3, DRAWS], Anchors(zeros, ones), self.evaluate)
        self.told, self.outcomes, self.draws, self.generations = [], [], [], 0

    def evaluate(self, pieces):
        for p in pieces:
            k = len(p.experiments)
            scores = self.scores(p).astype(np.float32)
            failed = {i: Outcome.CRASH for i in range(k) if self.rng.random() < 0.1 and p.lo == p.first_draw}
            scores[list(failed)] = np.nan
            rows = p.rows if p.lo == p.first_draw else np.empty((0, 2), np.uint8)
            numbers = p.experiments.astype(np.uint32)
            words = dict.fromkeys(failed, "said why")
            outcomes = {i: str(o) for i, o in failed.items()}
            self.ledger.append(
                BlockRecord(
                    id=f"{numbers[0]}.{p.lo}.{p.hi}",
                    experiments=numbers,
                    lo=p.lo,
                    hi=p.hi,
                    rows=rows,
                    scores=scores,
                    outcomes=outcomes,
                    messages=words,
                    cpu_s=0.1,
                    wall_s=0.1,
                    first_draw=p.first_draw,
                )
            )
            yield Scored(scores, failed)

    def scores(self, p):
        return self.rng.random((len(p.experiments), p.hi - p.lo))

    def generation(self, n=24):
        rows = self.rng.integers(0, 64, (n, 2)).astype(np.uint8)
        results = self.race.run(rows)
        self.told += results.values.tolist()
        self.outcomes += [str(o) for o in results.outcomes]
        self.draws += results.draws.tolist()
        best = self.race.best
        experiment = best.experiment if best is not None else None
        self.ledger.append(
            Generation(self.generations, len(self.told), 0.5 * self.generations, best and best.value, experiment, 0, 0)
        )
        self.generations += 1
        return rows


@pytest.fixture
def climb(tmp_path):
    found = Climb(tmp_path / "run")
    yield found
    found.ledger.close()


def whole(book: Book) -> Table:
    for _ in range(100):
        table, done = book.columns.wanted(0.5)
        if done == 1:
            return table
    raise AssertionError("the columns were not filled")


def test_they_hold_what_the_climber_was_told(climb, tmp_path):
    """Values of finalists and of those stopped early, draws and outcomes, of every experiment of a race. It begins at
    several draws."""
    for _ in range(12):
        climb.generation()
    book = Book(tmp_path / "run")
    table = whole(book)
    assert table.n == len(climb.told) == 288
    assert len({b.first_draw for b in book.history.blocks}) > 2
    ran = table.outcome != CODE["repeat"]
    assert ran.sum() == 288 - climb.race.cached
    assert [NAMES[o] for o in table.outcome[ran]] == np.array(climb.outcomes)[ran].tolist()
    ok = table.outcome == CODE["ok"]
    assert table.draws[ok].tolist() == np.array(climb.draws)[ok].tolist()
    assert np.allclose(table.value[ran], np.array(climb.told, np.float32)[ran], atol=1e-6, equal_nan=True)
    assert {1, 3, DRAWS} <= set(table.draws.tolist())
    book.close()


def test_they_follow_a_run(climb, tmp_path):
    """What is appended later is taken up later, up to the last barrier; a repeat has a row of its own."""
    rows = climb.generation()
    book = Book(tmp_path / "run")
    assert whole(book).n == 24
    climb.race.run(rows[:5])  # all of them repeats, which no block holds
    climb.ledger.append(Generation(1, 29, 1.0, 0.5, 0, 0, 5))
    book.refresh()
    table = whole(book)
    assert [NAMES[o] for o in table.outcome[24:]] == ["repeat"] * 5
    assert np.isnan(table.value[24:]).all()
    book.close()


def test_they_are_kept_as_far_as_the_chain_agrees(climb, tmp_path, monkeypatch):
    """A second reader decodes no block again; one of another ledger under the same path does."""
    monkeypatch.setattr(checkpoint, "LARGE", 0)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for _ in range(3):
        climb.generation()
    first = Book(tmp_path / "run")
    before = whole(first)
    first.columns._thread.join()
    first.close()
    taken = []
    monkeypatch.setattr(Columns, "_take", lambda self, found: taken.append(found))
    second = Book(tmp_path / "run")
    again = whole(second)
    assert not taken
    for name in Table._fields:
        assert np.array_equal(getattr(before, name), getattr(again, name), equal_nan=name == "value")
    second.close()
    monkeypatch.undo()
    monkeypatch.setattr(checkpoint, "LARGE", 0)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    climb.ledger.close()
    (tmp_path / "run").rename(tmp_path / "old")
    other = Climb(tmp_path / "run", seed=5)
    other.generation()
    third = Book(tmp_path / "run")
    assert whole(third).n == len(other.told) == 24
    third.close()
    other.ledger.close()


def test_a_number_of_experiments_from_a_ledger_is_not_believed(tmp_path):
    """A barrier may name any number; no memory is taken for it, and the other pages still work."""
    climb = Climb(tmp_path / "run")
    climb.ledger.append(Generation(0, 10**11, 1.0, 0.5, 0, 0, 0))
    climb.ledger.close()
    book = Book(tmp_path / "run")
    table, _ = book.columns.wanted(1.0)
    assert table.n == 0
    assert book.history.experiments == 10**11
    book.close()


def table_of(values):
    n = len(values)
    outcome = np.where(np.isnan(values), CODE["crash"], CODE["ok"]).astype(np.uint8)
    return Table(np.array(values, np.float32), np.full(n, 2, np.uint16), outcome, np.zeros(n, np.uint16))


@pytest.mark.parametrize("sort", ["new", "old", "best"])
def test_pages_together_are_the_whole_list(sort):
    """In the order asked for, each experiment once, ties by number."""
    rng = np.random.default_rng(1)
    values = rng.integers(0, 9, 500) / 10
    values[rng.random(500) < 0.2] = np.nan
    table = table_of(values)
    query = Query(sort=sort)
    _, n = chosen(table, [""], query, 0, 50)
    found = [int(i) for at in range(0, n, 50) for i in chosen(table, [""], query, at, 50)[0]]
    expected = {"new": list(range(499, -1, -1)), "old": list(range(500))}
    ranked = sorted((i for i in range(500) if not np.isnan(values[i])), key=lambda i: (-values[i], i))
    assert found == expected.get(sort, ranked)
    assert len(chosen(table, [""], query, 10**6, 50)[0]) == 0


def test_filters():
    table = table_of([0.1, np.nan, 0.5, 0.9])
    assert chosen(table, [""], Query(outcome="crash"), 0, 9)[0].tolist() == [1]
    assert chosen(table, [""], Query(least=0.5, sort="old"), 0, 9)[0].tolist() == [2, 3]
    assert chosen(table, ["", "ada"], Query(author="ada"), 0, 9)[1] == 0
    assert chosen(table, ["", "ada"], Query(author="nobody"), 0, 9)[1] == 0
    assert chosen(table, [""], Query(whole=3), 0, 9)[1] == 0


def test_the_sample_of_parameters_is_bounded(climb, tmp_path, monkeypatch):
    """However large generations are; each experiment in it has its own values, as it has without a bound."""
    for _ in range(6):
        climb.generation(200)
    book, seen = Book(tmp_path / "run"), []
    monkeypatch.setattr(importance, "shares", lambda space, rows, values: seen.append((rows, values)) or [])
    used = []
    for most in (10**6, 120):
        monkeypatch.setattr(importance, "ROWS", most)
        used.append(importance.importance(book.history).used)
    every, some = ([(*row, value) for row, value in zip(r.tolist(), v.tolist(), strict=True)] for r, v in seen)
    assert used[0] > 800
    assert 60 < used[1] <= 126
    assert set(some) <= set(every)
    book.close()


def test_parameters_are_compared_whatever_draws_they_met(climb, tmp_path, monkeypatch):
    """Generations begin at different draws; how easy a draw is moves no value."""
    easy, values = np.arange(DRAWS), []
    monkeypatch.setattr(climb, "scores", lambda p: p.rows[:, :1] / 64 + easy[p.lo : p.hi])
    monkeypatch.setattr(importance, "shares", lambda space, rows, found: values.append((rows, found)) or [])
    for _ in range(9):
        climb.generation(60)
    book = Book(tmp_path / "run")
    assert len({b.first_draw for b in book.history.blocks}) > 2
    assert importance.importance(book.history).draws == 1
    ((rows, found),) = values
    assert np.allclose(found, (rows[:, 0] / 64 + easy.mean()) / 2, atol=1e-5)
    book.close()
