"""A bounded table of entity profiles, keyed by stable 64-bit hashes.

Layout: an array of buckets of `WAYS` slots each, as in a set-associative cache. A key stands in the first of
its `PROBES` buckets (double hashing) that had an empty slot when it came. Slots are never emptied, so a
search ends at the first bucket with an empty slot, mostly the first of all: no chains, no tombstones, no
clock. The table doubles while it may; up to its bound nobody has to give way, beyond it the least recently
used entity of a full first bucket does and is counted.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from anomalyai.detectors.compilation import compiled

WAYS = 8
_FIRST_BUCKETS = 128
PROBES = 6
"""Buckets a key may stand in. At half load 1 key in 100 finds its first bucket full, and each further one is
full 1 time in 25: of a million entities one is without a place in one table of hundreds."""

MAX_LOAD = 0.5
"""Above this share of used slots the table doubles."""

UNBOUNDED = 1 << 62


class Watcher(Protocol):
    """Who must see rows before they change (`anomalyai.table_copy`)."""

    def before_change(self, table: EntityTable, keys: NDArray[np.uint64]) -> bool:
        """Take note: these keys' rows, or those that give way to them, are about to change.

        Returns whether to go on being told.
        """


class EntityTable:
    """Profiles of up to about `max_entities` entities: `width` float32 statistics and a last time each.

    Memory is `WAYS`-way slots of 24 + 4 * width bytes, at most four times `max_entities` / 2 slots; evictions
    are counted in `evicted`. The rows are read and written by the compiled feature kernel. `by_record` tells
    that no row changes without a record, whose number is then the row's tick.
    """

    def __init__(self, width: int, max_entities: int, *, by_record: bool = True) -> None:
        self.width = width
        self.by_record = by_record
        self.max_entities = max_entities
        self.evicted = 0
        self.used = 0
        self._watchers: tuple[weakref.ref[Watcher], ...] = ()
        self._allocate(_FIRST_BUCKETS)

    def _allocate(self, buckets: int) -> None:
        slots = buckets * WAYS
        self.keys: NDArray[np.uint64] = np.zeros(slots, dtype=np.uint64)
        self.touched: NDArray[np.int64] = np.zeros(slots, dtype=np.int64)
        self.last_s: NDArray[np.float64] = np.full(slots, np.nan)
        self.stats: NDArray[np.float32] = np.zeros((slots, self.width), dtype=np.float32)

    @property
    def slots(self) -> int:
        """Slots allocated."""
        return len(self.keys)

    @property
    def columns(self) -> tuple[NDArray[Any], ...]:
        """The arrays: keys, touched, last_s, stats; others once the table has doubled."""
        return self.keys, self.touched, self.last_s, self.stats

    @property
    def size_bytes(self) -> int:
        """Bytes the arrays hold."""
        return self.keys.nbytes + self.touched.nbytes + self.last_s.nbytes + self.stats.nbytes

    @property
    def may_grow(self) -> bool:
        """Whether the bound on entities lets the table double."""
        return self.slots * MAX_LOAD < self.max_entities

    @property
    def room(self) -> int:
        """New entities that may still be added before the table has to double."""
        return int(self.slots * MAX_LOAD) - self.used if self.may_grow else UNBOUNDED

    def watch(self, watcher: Watcher) -> None:
        """Let somebody see rows before they change, as long as they are there and want to."""
        self._watchers = (*self._watchers, weakref.ref(watcher))

    def _tell(self, keys: NDArray[np.uint64]) -> None:
        living = [(each, watcher) for each in self._watchers if (watcher := each()) is not None]
        self._watchers = tuple(each for each, watcher in living if watcher.before_change(self, keys))

    def put_through(
        self,
        rows: int,
        keys: Callable[[], NDArray[np.uint64]],
        kernel: Callable[[int, int], tuple[int, ...]],
    ) -> int:
        """Let a kernel place `rows` rows, doubling where it has to stop for it.

        `kernel(start, room)` goes on from row `start` until it needs more room for new entities than there
        is; it returns the row it reached, how many entities were new, how many gave way, and further counts,
        whose sum is returned. It must read the table's arrays anew at each call. `keys` gives the rows' keys,
        0 where there is none; it is asked only while the table is being copied.
        """
        if self._watchers:
            self._tell(keys())
        done = counted = 0
        while True:
            done, fresh, evicted, *others = kernel(done, self.room)
            self.used += fresh
            self.evicted += evicted
            counted += sum(others)
            if done == rows:
                return counted
            self.double()

    def double(self) -> None:
        """Move everything to twice as many slots."""
        old = (self.keys, self.touched, self.last_s, self.stats)
        self._allocate(2 * self.slots // WAYS)
        lost = int(rehash(*old, self.keys, self.touched, self.last_s, self.stats))
        self.used -= lost
        self.evicted += lost

    def state(self) -> dict[str, Any]:
        """Return the counters, and the table itself for its rows, for `anomalyai.state`."""
        return {"slots": self.slots, "evicted": self.evicted, "table": self}

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return a copy of the used rows."""
        rows = np.flatnonzero(self.keys)
        names = ("keys", "touched", "last_s", "stats")
        return {
            "rows": rows,
            **{name: column[rows] for name, column in zip(names, self.columns, strict=True)},
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take the rows and counters that `state` returned, its arrays spread."""
        self._allocate(int(state["slots"]) // WAYS)
        rows = state["rows"]
        self.keys[rows] = state["keys"]
        self.touched[rows] = state["touched"]
        self.last_s[rows] = state["last_s"]
        self.stats[rows] = state["stats"]
        self.evicted = int(state["evicted"])
        self.used = len(rows)


@compiled
def find_slot(keys: Any, touched: Any, key: Any) -> Any:
    """Return (slot, state) in the key's buckets; state 0: found, 1: an empty slot, 2: to be evicted."""
    last = np.uint64(keys.shape[0] // WAYS - 1)  # buckets are a power of two
    first = key & last
    step = (key >> np.uint64(40)) | np.uint64(1)
    bucket = first
    for _ in range(PROBES):
        start = np.int64(bucket) * WAYS
        for slot in range(start, start + WAYS):
            if keys[slot] == key:
                return slot, 0
            if keys[slot] == np.uint64(0):
                return slot, 1
        bucket = (bucket + step) & last
    oldest: Any = np.int64(first) * WAYS
    for slot in range(oldest + 1, oldest + WAYS):
        if touched[slot] < touched[oldest]:
            oldest = slot
    return oldest, 2


@compiled
def claim_slot(keys: Any, touched: Any, last_s: Any, stats: Any, key: Any, tick: Any) -> Any:
    """Find the key's slot or clear one for it; returns (slot, state) as `find_slot` does."""
    slot, state = find_slot(keys, touched, key)
    occupy(keys, touched, last_s, stats, key, tick, slot, state)
    return slot, state


@compiled
def occupy(
    keys: Any, touched: Any, last_s: Any, stats: Any, key: Any, tick: Any, slot: Any, state: Any
) -> None:
    """Give the slot that `find_slot` found to the key, cleared where it was not the key's already."""
    if state != 0:
        keys[slot] = key
        last_s[slot] = np.nan
        for j in range(stats.shape[1]):
            stats[slot, j] = np.float32(0.0)
    touched[slot] = tick


@compiled
def rehash(
    keys: Any,
    touched: Any,
    last_s: Any,
    stats: Any,
    new_keys: Any,
    new_touched: Any,
    new_last: Any,
    new_stats: Any,
) -> Any:
    """Move every used row to the larger table; returns how many had to give way."""
    lost = 0
    for old in range(keys.shape[0]):
        if keys[old] == np.uint64(0):
            continue
        slot, state = find_slot(new_keys, new_touched, keys[old])
        if state == 2:
            lost += 1
            if touched[old] < new_touched[slot]:
                continue
        new_keys[slot] = keys[old]
        new_touched[slot] = touched[old]
        new_last[slot] = last_s[old]
        new_stats[slot] = stats[old]
    return lost
