"""The bound between admission and the engine."""

from __future__ import annotations

import threading
from collections.abc import Callable

from stream.backlog import Backlog


def test_there_is_room_until_either_bound_is_reached() -> None:
    backlog = Backlog(max_records=10, max_bytes=1000)
    backlog.add(9, 500)
    assert backlog.wait_for_room(0.0)
    backlog.add(1, 0)
    assert not backlog.wait_for_room(0.01)
    backlog.remove(5, 0)
    assert backlog.wait_for_room(0.0)
    backlog.add(0, 500)
    assert not backlog.wait_for_room(0.01)
    assert (backlog.records, backlog.size_bytes) == (5, 1000)


def test_a_waiting_sender_goes_on_when_there_is_room_and_leaves_when_it_is_closed() -> None:
    backlog = Backlog(max_records=1, max_bytes=1000)
    backlog.add(1, 1)
    found: list[bool] = []
    releases: list[Callable[[], None]] = [lambda: backlog.remove(1, 1), backlog.close]
    for release in releases:
        waiting = threading.Thread(target=lambda: found.append(backlog.wait_for_room(60.0)))
        waiting.start()
        release()
        waiting.join(timeout=60)
        backlog.add(1, 1)
    assert found == [True, False]
    assert backlog.closed
    backlog.remove(2, 2)
    assert not backlog.wait_for_room(0.0)


def test_the_oldest_record_that_waits_is_known_feed_by_feed() -> None:
    backlog = Backlog(max_records=10, max_bytes=1000)
    assert backlog.oldest_s("a") is None
    for feed, last_seq, arrival_s in (("a", 3, 100.0), ("b", 1, 101.0), ("a", 5, 102.0)):
        backlog.arrived(feed, last_seq, arrival_s)
    assert (backlog.oldest_s("a"), backlog.oldest_s("b")) == (100.0, 101.0)
    backlog.committed("a", 4)
    assert (backlog.oldest_s("a"), backlog.oldest_s("b")) == (102.0, 101.0)
    backlog.committed("a", 5)
    assert (backlog.oldest_s("a"), backlog.oldest_s("b")) == (None, 101.0)
