"""Taking snapshots beside the scoring: copied in short steps by the engine, written by a thread of its own.

A snapshot of a feed with a million entities is hundreds of megabytes. Its state is frozen in a moment, its
tables are copied a few milliseconds at a time between micro-batches (`anomalyai.frozen`), and what is written
then goes on top of the snapshot before, as long as that saves half of the work.

One snapshot a feed is under way at a time; it is handed on for writing only when the results up to its entry
are committed. The engine's thread calls everything but `run`, the body of the writing thread. Lock: one
condition guards what is under way and the chains.
"""

from __future__ import annotations

import logging
import threading
from queue import SimpleQueue
from typing import NamedTuple

from anomalyai.frozen import Frozen, Mark
from stream.clock import Clock
from stream.lane import Lane
from stream.snapshot import Snapshot, Snapshots

STEP_S = 0.005
STEP_SLOTS = 1 << 16
"""Slots of tables that are copied between two looks at the clock."""

MOST_INCREMENTS = 15
"""Snapshots that stand on one whole one at most: recovery reads all of them."""

log = logging.getLogger("anomalyai.stream")


class _Chain(NamedTuple):
    """What a feed's next increment would stand on: its last snapshot, that one's chain and the rows in it."""

    mark: Mark
    entry: int
    length: int
    whole_rows: int
    rows: int

    @property
    def is_worth_it(self) -> bool:
        return self.length < MOST_INCREMENTS and 2 * self.rows < self.whole_rows


class _UnderWay(NamedTuple):
    lane: Lane
    frozen: Frozen
    entry: int
    seq: int
    base: _Chain | None


class Checkpoints:
    """The snapshots under way of every feed."""

    def __init__(self, snapshots: Snapshots, clock: Clock) -> None:
        self._snapshots = snapshots
        self._clock = clock
        self._copying: dict[str, _UnderWay] = {}
        self._writing: set[str] = set()
        self._chains: dict[str, _Chain] = {}
        self._queue: SimpleQueue[_UnderWay | None] = SimpleQueue()
        self._changed = threading.Condition()

    @property
    def copying(self) -> bool:
        """Whether there is something to copy, or to hand on."""
        return bool(self._copying)

    def begin(self, lane: Lane) -> None:
        """Freeze a feed's state as it is now, unless a snapshot of it is still under way."""
        with self._changed:
            if lane.feed in self._copying or lane.feed in self._writing:
                return
            chain = self._chains.get(lane.feed)
        base = chain if chain is not None and chain.is_worth_it else None
        frozen = lane.shard.pipeline.freeze(base.mark if base is not None else None)
        self._copying[lane.feed] = _UnderWay(lane, frozen, lane.shard.entry, lane.shard.seq, base)
        lane.saved(self._clock.monotonic_s())

    def step(self) -> None:
        """Copy for `STEP_S` seconds at most, and hand on what is copied and committed."""
        until_s = self._clock.monotonic_s() + STEP_S
        for under_way in list(self._copying.values()):
            while not under_way.frozen.done:
                if self._clock.monotonic_s() >= until_s:
                    return
                under_way.frozen.advance(STEP_SLOTS)
            if under_way.lane.committed_entry >= under_way.entry:
                with self._changed:
                    self._writing.add(under_way.lane.feed)
                    del self._copying[under_way.lane.feed]
                self._queue.put(under_way)

    def settle(self) -> None:
        """Give up what is being copied, wait for what is being written."""
        for under_way in self._copying.values():
            under_way.lane.unsaved()
        self._copying.clear()
        with self._changed:
            self._changed.wait_for(lambda: not self._writing)

    def save(self, lane: Lane) -> None:
        """Save a feed's state as it is now, whole, before this returns."""
        self.settle()
        self._chains.pop(lane.feed, None)
        try:
            self._snapshots.save(lane.feed, lane.shard.snapshot())
        except OSError as error:
            log.error("feed %s: the snapshot of entry %d failed: %s", lane.feed, lane.shard.entry, error)
        lane.saved(self._clock.monotonic_s())

    def close(self) -> None:
        """Let `run` return when what it has is written."""
        self._queue.put(None)

    def run(self) -> None:
        """Write what is handed on."""
        try:
            while (under_way := self._queue.get()) is not None:
                chain = self._write(under_way)
                with self._changed:
                    self._writing.discard(under_way.lane.feed)
                    if chain is None:
                        self._chains.pop(under_way.lane.feed, None)
                    else:
                        self._chains[under_way.lane.feed] = chain
                    self._changed.notify_all()
        finally:
            with self._changed:
                self._writing.clear()
                self._changed.notify_all()

    def _write(self, under_way: _UnderWay) -> _Chain | None:
        lane, frozen, entry, seq, base = under_way
        sections = frozen.sections()
        snapshot = Snapshot(entry, seq, frozen.document(), sections)
        stands_on = base if not frozen.is_whole else None
        try:
            self._snapshots.save(lane.feed, snapshot, base=stands_on.entry if stands_on is not None else None)
        except OSError as error:
            log.error("feed %s: the snapshot of entry %d failed: %s", lane.feed, entry, error)
            return None
        rows = sum(len(section.rows.rows) for section in sections.values())
        if stands_on is None:
            return _Chain(frozen.mark, entry, 0, rows, 0)
        return _Chain(frozen.mark, entry, stands_on.length + 1, stands_on.whole_rows, stands_on.rows + rows)
