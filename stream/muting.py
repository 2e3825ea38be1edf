"""Mutes on their way into the log: each, and its end, is an entry. Safe from any thread."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from anomalyai.control import ControlEntry, Mute, MuteEnd
from anomalyai.mute import MAX_MUTES, ActiveMute, matches
from stream.anomalies import Anomalies
from stream.clock import Clock
from stream.engine import Engine
from stream.errors import MuteRefused, UnknownMute
from stream.feeds import Feeds
from stream.judgement import wait_for

__all__ = ["LONGEST_S", "MAX_MUTED_AT_ONCE", "Muting"]

LONGEST_S = 366 * 86_400.0
MAX_MUTED_AT_ONCE = 1_000
"""Open alerts, the newest, among which those are looked for that a new mute hides at once."""


class Muting:
    """Begins, lists and ends mutes; `require_ready` raises `NotReady` where the runtime is not."""

    def __init__(
        self,
        feeds: Feeds,
        anomalies: Anomalies,
        engine: Engine,
        clock: Clock,
        require_ready: Callable[[], None],
    ) -> None:
        self._feeds = feeds
        self._anomalies = anomalies
        self._engine = engine
        self._clock = clock
        self._require_ready = require_ready

    def begin(
        self,
        feed: str,
        entities: Mapping[str, str],
        field: str | None,
        until: datetime,
        note: str | None = None,
    ) -> ActiveMute:
        """Mute what is of these entities and about this field; returns the mute once it is in force.

        Raises
        ------
        UnknownFeed, MuteRefused, LogFailure, NotReady
            There is no such feed; nothing is named, the end is not ahead, or no more mutes fit; or nothing
            can be taken now.
        """
        self._require_ready()
        self._feeds.get(feed)
        left_s = until.timestamp() - self._clock.now_s()
        if not (entities or field is not None):
            raise MuteRefused("expected entities, a field, or both", field="entities")
        if not 0 < left_s <= LONGEST_S:
            raise MuteRefused("expected a time ahead, within a year", field="until", hint="times are in UTC")
        if len(self.of_feed(feed)) >= MAX_MUTES:
            raise MuteRefused(f"the feed has {MAX_MUTES} mutes", hint="end one first")
        open_alerts = self._anomalies.open_alerts(feed, MAX_MUTED_AT_ONCE)
        hidden = tuple(alert.id for alert in open_alerts if matches(alert, entities, field))
        mute = Mute(dict(entities), field, until.timestamp(), note, hidden)
        mute_id = f"{feed}-m{self._take(feed, mute)}"
        found = self._find(feed, mute_id)
        if found is None:
            raise MuteRefused("it is not in force: others took the last places", hint="end one first")
        return found

    def of_feed(self, feed: str) -> list[ActiveMute]:
        """Return the mutes in force, oldest first; raises `UnknownFeed`, `NotReady`."""
        self._feeds.get(feed)
        mutes: list[ActiveMute] = wait_for(
            self._engine.ask(feed, lambda lane: lane.shard.pipeline.triage.mutes()), "the list of mutes"
        )
        now_s = self._clock.now_s()
        return [mute for mute in mutes if mute.until_s > now_s]

    def end(self, feed: str, mute_id: str) -> None:
        """End a mute before its time; what it has muted stays so.

        Raises
        ------
        UnknownFeed, UnknownMute, LogFailure, NotReady
            There is no such feed or mute, or nothing can be taken now.
        """
        self._require_ready()
        if self._find(feed, mute_id) is None:
            raise UnknownMute(f"the feed {feed} has no mute {mute_id[:120]!r}", field="id")
        self._take(feed, MuteEnd(mute_id))

    def _find(self, feed: str, mute_id: str) -> ActiveMute | None:
        return next((mute for mute in self.of_feed(feed) if mute.id == mute_id), None)

    def _take(self, feed: str, change: ControlEntry) -> int:
        """Write an entry, and wait until the engine has come to it; returns its number."""
        [entry] = self._feeds.get(feed).control(change).result()
        wait_for(self._engine.confirm(feed, entry), "the mute")
        return entry
