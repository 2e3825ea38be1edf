"""Mutes: what people do not want to be told of for a while.

A mute names entities, a field, or both. Of an alert that matches while it is in force the status is "muted"
from the beginning; it is counted and kept all the same (`anomalyai.incident.about` says which fields an alert
is about). Its end is a time of arrival, so that a replay ends it at the same record. At most `MAX_MUTES` a
feed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import msgspec

from anomalyai.alert import Alert, Amendment
from anomalyai.control import Mute, MuteEnd
from anomalyai.incident import about

__all__ = ["MAX_MUTES", "ActiveMute", "Mutes", "matches"]

MAX_MUTES = 100


class ActiveMute(msgspec.Struct):
    """A mute in force: `id` is `{feed}-m{entry}`, `until_s` epoch seconds, `hidden` alerts it has muted."""

    id: str
    entities: dict[str, str]
    field: str | None
    until_s: float
    note: str | None
    hidden: int = 0


class Mutes:
    """The mutes of one feed; `hidden` alerts were muted in all, `refused` mutes were over the limit."""

    def __init__(self, feed: str) -> None:
        self.feed = feed
        self.hidden = self.refused = 0
        self._mutes: list[ActiveMute] = []

    def begin(self, change: Mute, entry: int) -> list[Amendment]:
        """Take the mute that is log entry `entry`; returns what becomes of earlier alerts."""
        if len(self._mutes) >= MAX_MUTES:
            self.refused += 1
            return []
        mute = ActiveMute(
            f"{self.feed}-m{entry}",
            change.entities,
            change.field,
            change.until_s,
            change.note,
            len(change.alerts),
        )
        self._mutes.append(mute)
        self.hidden += len(change.alerts)
        return [Amendment(alert_id, "muted") for alert_id in change.alerts]

    def end(self, change: MuteEnd) -> None:
        """Let a mute end; what it has muted stays so. One that has ended already changes nothing."""
        self._mutes = [mute for mute in self._mutes if mute.id != change.id]

    def take(self, alert: Alert, arrival_s: float) -> Alert:
        """Return an alert, muted where a mute is in force at its arrival (epoch seconds, NaN unknown)."""
        if not self._mutes:
            return alert
        if not math.isnan(arrival_s):
            self._mutes = [mute for mute in self._mutes if mute.until_s > arrival_s]
        for mute in self._mutes:
            if matches(alert, mute.entities, mute.field):
                mute.hidden += 1
                self.hidden += 1
                return msgspec.structs.replace(alert, status="muted")
        return alert

    def in_force(self) -> list[ActiveMute]:
        """Return copies of the mutes, oldest first; one past its end is among them until an alert comes."""
        return [msgspec.structs.replace(mute) for mute in self._mutes]

    def status(self) -> dict[str, int]:
        """Return figures, ready for JSON."""
        return {"mutes": len(self._mutes), "muted": self.hidden, "mutes_refused": self.refused}

    def state(self) -> bytes:
        """Return what `restore` needs."""
        return msgspec.json.encode((self.hidden, self.refused, self._mutes))

    def restore(self, state: bytes) -> None:
        """Take what `state` returned."""
        kind = tuple[int, int, list[ActiveMute]]
        self.hidden, self.refused, self._mutes = msgspec.json.decode(state, type=kind)


def matches(alert: Alert, entities: Mapping[str, str], field: str | None) -> bool:
    """Whether a mute of these entities and this field speaks of an alert."""
    if field is not None and field not in about(alert):
        return False
    return all(alert.entities.get(name) == value for name, value in entities.items())
