"""How many admitted records wait for the engine, and holding senders back when it is too many.

Admission adds what it queues for the log, the engine takes away what it has committed, and a failed append
takes itself away. The bound is looked at before a body is decoded, so each sender can pass it by one body.
Lock: one condition guards the counts; no method calls out while holding it.
"""

from __future__ import annotations

import threading


class Backlog:
    """Counts of records and bytes between admission and the engine's commit."""

    def __init__(self, max_records: int, max_bytes: int) -> None:
        self._max_records = max_records
        self._max_bytes = max_bytes
        self._changed = threading.Condition()
        self._records = 0
        self._size_bytes = 0
        self._closed = False

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

    def _has_room(self) -> bool:
        return self._records < self._max_records and self._size_bytes < self._max_bytes
