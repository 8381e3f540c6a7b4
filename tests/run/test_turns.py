"""Turns: authors who wait are served in rotation, and nobody is lost."""

import threading

import pytest

from toprope.run.turns import Turns


def queue(turns, names):
    """Holds the turn until all of `names` wait, in this order; the order in which they are served."""
    served, threads = [], []

    def wait(name):
        with turns.turn(name):
            served.append(name)

    with turns.turn("holder"):
        for i, name in enumerate(names):
            threads.append(threading.Thread(target=wait, args=[name]))
            threads[-1].start()
            while turns.waiting() < i + 1:
                pass
    for t in threads:
        t.join()
    return served


def test_an_author_with_many_requests_waits_between_them():
    """Everybody else who waits is served between two requests of one author; each author's own keep their order."""
    assert queue(Turns(), ["ada", "ada", "ada", "bob", "bob", "carl"]) == ["ada", "bob", "carl", "ada", "bob", "ada"]


def test_an_error_gives_the_turn_back():
    """Whatever is done in a turn, the next one is served."""
    turns = Turns()
    with pytest.raises(ZeroDivisionError), turns.turn("ada"):
        raise ZeroDivisionError
    assert queue(turns, ["ada"]) == ["ada"]
    assert turns.waiting() == 0
