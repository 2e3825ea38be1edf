"""When a feed has been silent for so long that its log gets a clock tick.

Whether it is a silence is decided by the feed's pipeline from the tick alone, so that a replay decides the
same. Ticks are few: a feed without a cadence gets none, another one when it is overdue and none while it is
silent; where a tick came too early, since a clock was set back, the next one waits as long again. The wait is
by the stopwatch, and begins anew with this process: what was sent while it did not run could not come.
Single-threaded: the engine's thread calls it.
"""

from __future__ import annotations

from typing import NamedTuple

from stream.clock import Clock
from stream.engine import Engine
from stream.feeds import Feeds


class _Wait(NamedTuple):
    """Since when, by the stopwatch, nothing has come after the arrival `after_s`."""

    after_s: float
    since_s: float


class Ticker:
    """Looks for feeds that are overdue; `tick` is called about once a second."""

    def __init__(self, feeds: Feeds, clock: Clock) -> None:
        self._feeds = feeds
        self._clock = clock
        self._waits: dict[str, _Wait] = {}

    def tick(self, engine: Engine) -> None:
        """Append a tick to every feed that is overdue and has nothing waiting for the engine."""
        now_s = self._clock.monotonic_s()
        for feed in self._feeds.names():
            lane = engine.lane(feed)
            admission = self._feeds.get(feed)
            if lane is None or lane.committed_seq < admission.durable_seq:
                continue
            silences = lane.shard.pipeline.silences
            wait = self._waits.get(feed)
            if wait is None or wait.after_s != silences.last_arrival_s:
                self._waits[feed] = _Wait(silences.last_arrival_s, now_s)
            elif now_s - wait.since_s >= silences.allowed_s:
                self._waits[feed] = _Wait(wait.after_s, now_s)
                admission.tick()
