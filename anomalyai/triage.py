"""What is done with alerts before people see them: mutes are applied, and each is put into its incident."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from anomalyai.alert import Alert, Amendment
from anomalyai.arrival import Origins
from anomalyai.control import Mute, MuteEnd
from anomalyai.incident import Incident, Incidents
from anomalyai.mute import ActiveMute, Mutes
from anomalyai.scored import ScoredBatch

__all__ = ["Sorted", "Triage"]


class Sorted(NamedTuple):
    """Alerts as people see them, and the incidents that they changed, each in its latest form."""

    alerts: list[Alert]
    incidents: list[Incident]


class Triage:
    """The incidents and mutes of one feed."""

    def __init__(self, feed: str) -> None:
        self._incidents = Incidents(feed)
        self._mutes = Mutes(feed)

    def take(
        self, scored: ScoredBatch, silences: Sequence[Alert], time_s: Any, origins: Origins | None
    ) -> tuple[ScoredBatch, list[Alert]]:
        """Sort the alerts of a scored batch and the silences that it showed, in the order of their records.

        `time_s` float64 [n] are the believed times of its records.
        """
        if not (scored.alerts or silences):
            return scored, []
        records = [(alert, float(time_s[alert.seq - scored.first_seq])) for alert in scored.alerts]
        others = [(alert, _epoch_s(alert)) for alert in silences]
        ordered = sorted([*records, *others], key=lambda one: (one[0].seq, one[0].record is None))
        done = self._sort((alert, when_s, _arrival_s(alert, origins)) for alert, when_s in ordered)
        return msgspec.structs.replace(
            scored,
            alerts=[alert for alert in done.alerts if alert.record is not None],
            incidents=done.incidents,
        ), [alert for alert in done.alerts if alert.record is None]

    def take_silences(self, alerts: Sequence[Alert], time_s: float) -> Sorted:
        """Sort alerts of silences that a clock tick showed at `time_s`, epoch seconds of arrival."""
        return self._sort((alert, _epoch_s(alert), time_s) for alert in alerts)

    def mute(self, change: Mute | MuteEnd, entry: int) -> list[Amendment]:
        """Take the mute, or the end of one, that is log entry `entry`; returns what it does to alerts."""
        if isinstance(change, Mute):
            return self._mutes.begin(change, entry)
        self._mutes.end(change)
        return []

    def mutes(self) -> list[ActiveMute]:
        """Return the mutes, oldest first."""
        return self._mutes.in_force()

    def status(self) -> dict[str, int]:
        """Return figures, ready for JSON."""
        return self._incidents.status() | self._mutes.status()

    def state(self) -> dict[str, bytes]:
        """Return what `restore` needs."""
        return {"incidents": self._incidents.state(), "mutes": self._mutes.state()}

    def restore(self, state: dict[str, bytes]) -> None:
        """Take what `state` returned; one from before there were incidents has nothing."""
        if state:
            self._incidents.restore(state["incidents"])
            self._mutes.restore(state["mutes"])

    def _sort(self, alerts: Iterable[tuple[Alert, float, float]]) -> Sorted:
        """Sort (alert, its believed time, its arrival), in order."""
        done: list[Alert] = []
        changed: dict[str, Incident] = {}
        for alert, time_s, arrival_s in alerts:
            incident = self._incidents.take(alert, time_s)
            changed[incident.id] = incident
            done.append(msgspec.structs.replace(self._mutes.take(alert, arrival_s), incident=incident.id))
        return Sorted(done, list(changed.values()))


def _epoch_s(alert: Alert) -> float:
    return math.nan if alert.time is None else datetime.fromisoformat(alert.time).timestamp()


def _arrival_s(alert: Alert, origins: Origins | None) -> float:
    return math.nan if origins is None else origins.of(alert.seq)[1]
