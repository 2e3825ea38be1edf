"""One viewer's bounded queue of encoded messages: putting never blocks, and no alert is dropped in silence.

When a viewer falls behind, points and stats are dropped first, the oldest before the newer; when only alerts
are left, the ones that do not fit become one gap notice with the range to reread. Lock: one condition per
queue; no method calls out while holding it.
"""

from __future__ import annotations

import threading
from collections import deque

import msgspec

from stream.message import Gap

MAX_MESSAGES = 256
MAX_BYTES = 4 * 1024 * 1024


class _Item(msgspec.Struct):
    """A message, or a gap over `after` to `until` where `message` is empty."""

    message: bytes
    droppable: bool
    after: int = 0
    until: int = 0


class ViewerQueue:
    """Messages on their way to one viewer; `dropped` counts points and stats that did not fit."""

    def __init__(self, max_messages: int = MAX_MESSAGES, max_bytes: int = MAX_BYTES) -> None:
        self.dropped = 0
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._items: deque[_Item] = deque()
        self._size_bytes = 0
        self._changed = threading.Condition()

    def put(self, message: bytes) -> None:
        """Queue a message that may be dropped, in place of the oldest of its kind where the queue is full."""
        with self._changed:
            if self._is_full(len(message)) and not self._drop_oldest(len(message)):
                self.dropped += 1
                return
            self._append(_Item(message, droppable=True))

    def put_alert(self, seq: int, message: bytes) -> None:
        """Queue an alert; where it does not fit even alone among alerts, widen the gap notice instead."""
        with self._changed:
            tail = self._items[-1] if self._items else None
            catching_up = (
                len(self._items) <= self._max_messages // 2 and 2 * self._size_bytes <= self._max_bytes
            )
            if tail is not None and not tail.message and not catching_up:
                tail.after = min(tail.after, seq - 1)
                tail.until = max(tail.until, seq)
            elif self._is_full(len(message)) and not self._drop_oldest(len(message)):
                self._append(_Item(b"", droppable=False, after=seq - 1, until=seq))
            else:
                self._append(_Item(message, droppable=False))

    def get(self, timeout_s: float) -> bytes | None:
        """Return the next message, a gap notice among them; None where none comes in time."""
        with self._changed:
            if not self._items:
                self._changed.wait_for(lambda: self._items, timeout_s)
            if not self._items:
                return None
            item = self._items.popleft()
            self._size_bytes -= len(item.message)
        if item.message:
            return item.message
        return msgspec.json.encode(Gap(item.after, item.until))

    def _append(self, item: _Item) -> None:
        self._items.append(item)
        self._size_bytes += len(item.message)
        self._changed.notify()

    def _is_full(self, size_bytes: int) -> bool:
        return len(self._items) >= self._max_messages or self._size_bytes + size_bytes > self._max_bytes

    def _drop_oldest(self, size_bytes: int) -> bool:
        """Drop points and stats, oldest first, until a message of this size fits; False if it cannot."""
        kept: deque[_Item] = deque()
        while self._items and self._is_full_with(kept, size_bytes):
            item = self._items.popleft()
            if item.droppable:
                self.dropped += 1
                self._size_bytes -= len(item.message)
            else:
                kept.append(item)
        kept.extend(self._items)
        self._items = kept
        return not self._is_full(size_bytes)

    def _is_full_with(self, kept: deque[_Item], size_bytes: int) -> bool:
        count = len(kept) + len(self._items)
        return count >= self._max_messages or self._size_bytes + size_bytes > self._max_bytes
