"""Long work in a thread leaves Python's lock to others."""

from __future__ import annotations

import threading

from patter_core.aio.pieces import in_pieces


def test_another_thread_has_its_turn_between_pieces() -> None:
    """The turn comes to the thread that waits for the lock; without pauses it would come after 5 ms, to few of them."""
    turns, begun, ended = list[int](), threading.Event(), threading.Event()

    def other() -> None:
        begun.set()
        while not ended.wait(0.00001):
            turns.append(1)

    beside = threading.Thread(target=other)
    beside.start()
    begun.wait()
    turns.clear()
    assert list(in_pieces(range(3_200))) == list(range(3_200))
    ended.set()
    beside.join()
    assert len(turns) >= 50
