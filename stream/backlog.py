"""How many admitted records wait for the engine, since when, and holding senders back when it is too many.

Admission adds what it queues for the log, the engine takes away what it has committed, and a failed append
takes itself away. The bound is looked at before a body is decoded, so each sender can pass it by one body.
What became durable is noted with its time of arrival until it is committed: one note an entry, so the notes
are bounded as the backlog is. Lock: one condition guards everything; no method calls out while holding it.
"""

from __future__ import annotations

import threading
from collections import deque


class Backlog:
    """Counts of records and bytes between admission and the engine's commit."""

    def __init__(self, max_records: int, max_bytes: int) -> None:
        self._max_records = max_records
        self._max_bytes = max_bytes
        self._changed = threading.Condition()
        self._records = 0
        self._size_bytes = 0
        self._closed = False
        self._waiting: dict[str, deque[tuple[int, float]]] = {}

    @property
    def records(self) -> int:
        """Records waiting now."""
        return self._records

    @property
    def size_bytes(self) -> int:
        """Bytes of those records as the log stores them."""
        return self._size_bytes

    @property
    def closed(self) -> bool:
        """Whether nothing is admitted any more."""
        return self._closed

    def fill(self, more: int = 0) -> float:
        """Return the share that is full, counting `more` records that are about to be added."""
        return max((self._records + more) / self._max_records, self._size_bytes / self._max_bytes)

    def room(self, more: int = 0) -> int:
        """Return how many records fit beside `more` that are about to be added."""
        return max(0, self._max_records - self._records - more) if self._size_bytes < self._max_bytes else 0

    def add(self, records: int, size_bytes: int) -> None:
        """Count what was just queued for the log."""
        with self._changed:
            self._records += records
            self._size_bytes += size_bytes

    def remove(self, records: int, size_bytes: int) -> None:
        """Count out what the engine has committed, or the log has refused."""
        with self._changed:
            self._records -= records
            self._size_bytes -= size_bytes
            self._changed.notify_all()

    def wait_for_room(self, timeout_s: float) -> bool:
        """Wait until a body may be admitted; False when the time is over or the backlog was closed."""
        if not self._closed and self._has_room():
            return True
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._has_room(), timeout_s)
            return not self._closed and self._has_room()

    def close(self) -> None:
        """Let every waiting sender go: nothing is admitted any more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def arrived(self, feed: str, last_seq: int, arrival_s: float) -> None:
        """Note when the records of an entry arrived, the last of them `last_seq`: they wait from now on."""
        with self._changed:
            self._waiting.setdefault(feed, deque()).append((last_seq, arrival_s))

    def committed(self, feed: str, seq: int) -> None:
        """Note that a feed's records up to `seq` wait no longer."""
        with self._changed:
            waiting = self._waiting.get(feed)
            while waiting and waiting[0][0] <= seq:
                waiting.popleft()

    def oldest_s(self, feed: str) -> float | None:
        """Return when the oldest record that waits in a feed arrived, None where none waits."""
        with self._changed:
            waiting = self._waiting.get(feed)
            return waiting[0][1] if waiting else None

    def _has_room(self) -> bool:
        return self._records < self._max_records and self._size_bytes < self._max_bytes
