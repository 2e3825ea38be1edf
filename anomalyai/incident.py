"""Incidents: alerts about one entity and one reason, close together in time, told as one.

An alert is about a field where that is its leading reason, or has at least `ABOUT_SHARE` of its score. It
joins the open incident of its first entity (of none, where it has none) about one of these fields, and begins
one otherwise. An incident is open until `COOLDOWN_S` of the feed's event time have passed since its last
alert. Where an alert has no believed time, it is as late as the one before.

An incident is as severe as its most severe alert, one grade more from `ESCALATING[0]` alerts on, two from
`ESCALATING[1]`. At most `MAX_OPEN` are open at a time; the one that was quiet longest gives way.

A function of the alerts in order: it is part of a feed's state, and a replay makes the same incidents.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import get_args

import msgspec

from anomalyai.alert import Alert, Severity, rfc3339

__all__ = ["ABOUT_SHARE", "COOLDOWN_S", "ESCALATING", "MAX_OPEN", "Incident", "Incidents", "about"]

ABOUT_SHARE = 0.25
COOLDOWN_S = 1_800.0
ESCALATING = (10, 100)
MAX_OPEN = 1_000

_GRADES: tuple[Severity, ...] = get_args(Severity)

_Key = tuple[str, str, str]
"""Entity field and value, both empty for none, and the field that it is about."""


class Incident(msgspec.Struct, frozen=True, kw_only=True):
    """`count` alerts from `first_seq` to `last_seq` with one entity (`entities` has it, or nothing).

    `field` is the reason they share. `worst` is the id of the rarest alert, `score`, `one_in` and `summary`
    are its; `severity` is `escalated` where their number has raised it. Times are RFC 3339 UTC, None where no
    alert has one. A change of any kind raises `revision`.
    """

    id: str
    feed: str
    entities: dict[str, str]
    field: str | None
    severity: Severity
    escalated: bool
    count: int
    first_seq: int
    last_seq: int
    first_time: str | None
    last_time: str | None
    worst: str
    score: float
    one_in: float
    summary: str
    revision: int = 1


class _Open(msgspec.Struct):
    """An incident that may go on, with the epoch seconds of its latest alert (None unknown)."""

    key: _Key
    incident: Incident
    grade: int
    last_s: float | None


class Incidents:
    """The open incidents of one feed; `begun`, `evicted` and `escalated` are counted from the beginning."""

    def __init__(self, feed: str) -> None:
        self.feed = feed
        self.begun = self.evicted = self.escalated = 0
        self._now_s = math.nan
        self._open: OrderedDict[_Key, _Open] = OrderedDict()

    @property
    def open(self) -> int:
        """How many are open, or have ended and were not cleared away yet."""
        return len(self._open)

    def take(self, alert: Alert, time_s: float) -> Incident:
        """Put an alert into its incident, by its believed time (NaN unknown); returns that as it is then."""
        self._now_s = time_s = self._now_s if math.isnan(time_s) else time_s
        entity, value = next(iter(alert.entities.items()), ("", ""))
        fields = about(alert) or ("",)
        group = next(filter(None, (self._at((entity, value, field), time_s) for field in fields)), None)
        if group is None:
            group = self._begin((entity, value, fields[0]), alert, time_s)
        else:
            self._join(group, alert, time_s)
        self._open.move_to_end(group.key)
        return group.incident

    def _at(self, key: _Key, time_s: float) -> _Open | None:
        """Return what is open under a key; what has cooled down is cleared away."""
        group = self._open.get(key)
        if group is not None and group.last_s is not None and time_s - group.last_s > COOLDOWN_S:
            del self._open[key]
            return None
        return group

    def _begin(self, key: _Key, alert: Alert, time_s: float) -> _Open:
        entity, value, field = key
        incident = Incident(
            id=f"{self.feed}-i{alert.id.removeprefix(f'{self.feed}-')}",
            feed=self.feed,
            entities={entity: value} if entity else {},
            field=field or None,
            severity=alert.severity,
            escalated=False,
            count=1,
            first_seq=alert.seq,
            last_seq=alert.seq,
            first_time=rfc3339(time_s),
            last_time=rfc3339(time_s),
            worst=alert.id,
            score=alert.score,
            one_in=alert.one_in,
            summary=alert.summary,
        )
        self.begun += 1
        if len(self._open) >= MAX_OPEN:
            self._open.popitem(last=False)
            self.evicted += 1
        group = _Open(key, incident, _GRADES.index(alert.severity), _known(time_s))
        self._open[key] = group
        return group

    def _join(self, group: _Open, alert: Alert, time_s: float) -> None:
        before, count = group.incident, group.incident.count + 1
        group.grade = max(group.grade, _GRADES.index(alert.severity))
        grade = min(group.grade + sum(count >= least for least in ESCALATING), len(_GRADES) - 1)
        self.escalated += count in ESCALATING and grade > group.grade
        if group.last_s is None or time_s > group.last_s:
            group.last_s = _known(time_s)
        incident = msgspec.structs.replace(
            before,
            severity=_GRADES[grade],
            escalated=grade > group.grade,
            count=count,
            last_seq=max(before.last_seq, alert.seq),
            first_time=before.first_time or rfc3339(time_s),
            last_time=before.last_time if group.last_s is None else rfc3339(group.last_s),
            revision=before.revision + 1,
        )
        if alert.score > before.score:
            incident = msgspec.structs.replace(
                incident, worst=alert.id, score=alert.score, one_in=alert.one_in, summary=alert.summary
            )
        group.incident = incident

    def status(self) -> dict[str, int]:
        """Return figures, ready for JSON."""
        return {
            "open": self.open,
            "begun": self.begun,
            "escalated": self.escalated,
            "evicted": self.evicted,
        }

    def state(self) -> bytes:
        """Return what `restore` needs."""
        figures = (self.begun, self.evicted, self.escalated, _known(self._now_s))
        return msgspec.json.encode((figures, list(self._open.values())))

    def restore(self, state: bytes) -> None:
        """Take what `state` returned."""
        kind = tuple[tuple[int, int, int, float | None], list[_Open]]
        (self.begun, self.evicted, self.escalated, now_s), groups = msgspec.json.decode(state, type=kind)
        self._now_s = math.nan if now_s is None else now_s
        self._open = OrderedDict((group.key, group) for group in groups)


def about(alert: Alert) -> tuple[str, ...]:
    """Return the fields that an alert is about, the leading one first; none where it has no reasons."""
    ranked = sorted(alert.reasons, key=lambda reason: -reason.share)
    return tuple(
        dict.fromkeys(
            reason.field for i, reason in enumerate(ranked) if i == 0 or reason.share >= ABOUT_SHARE
        )
    )


def _known(time_s: float) -> float | None:
    return None if math.isnan(time_s) else time_s
