"""Looking for alerts and incidents as people do: by time, severity, entity, field, verdict and words.

Reads what the engine committed; safe from any thread. A feed raises alerts at the rate of its budget, so the
conditions that no index serves are looked at one alert after the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple, get_args

import msgspec
import sqlalchemy as sa

from anomalyai.alert import Alert, Severity, Status, rfc3339
from anomalyai.incident import Incident
from stream import tables
from stream.database import Database

__all__ = ["Anomalies", "Page", "ToldIncident", "Wanted"]

AN_AGE = 5_000
"""A year between the first and the last that RFC 3339 can name."""


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Conditions, all of which have to hold; None asks for nothing.

    `severity` is the least; `entity` the exact text of any entity's value; `field` one that a reason is
    about; `text` part of what an alert or incident says, of its record or entities, whatever the case
    (ASCII); `since` and `until` bound the event time. An incident has the `status` where an alert of it has.
    """

    since: datetime | None = None
    until: datetime | None = None
    severity: Severity | None = None
    status: Status | None = None
    entity: str | None = None
    field: str | None = None
    text: str | None = None
    incident: str | None = None


class ToldIncident(Incident, frozen=True, kw_only=True):
    """An incident, and how many of its alerts have which status."""

    statuses: dict[Status, int]


class Page(NamedTuple):
    """Incidents, the one that went on last first; `next` continues where there are more."""

    incidents: list[ToldIncident]
    next: str | None


class Anomalies:
    """Alerts and incidents of one data directory."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def alerts(self, feed: str, wanted: Wanted, after: int, limit: int) -> tuple[list[Alert], int | None]:
        """Return alerts with seq after `after`, ascending, and what to pass as `after` for more.

        A page holds `limit` alerts, or more so as not to part those of one record.
        """
        column = tables.alert.c
        mine = sa.select(column.seq, column.id, column.body).where(
            column.feed == feed, *_conditions(wanted), *_of_alert(wanted)
        )
        page = mine.where(column.seq > after).order_by(column.seq, column.id).limit(limit)
        with self._database.reader.connect() as connection:
            rows = list(connection.execute(page))
            more = False
            if len(rows) == limit:
                last = rows[-1]
                rows += connection.execute(
                    mine.where(column.seq == last.seq, column.id > last.id).order_by(column.id)
                )
                more = connection.execute(mine.where(column.seq > last.seq).limit(1)).first() is not None
        return [msgspec.json.decode(row.body, type=Alert) for row in rows], rows[-1].seq if more else None

    def open_alerts(self, feed: str, limit: int) -> list[Alert]:
        """Return the newest open alerts of a feed."""
        column = tables.alert.c
        newest = sa.select(column.body).where(column.feed == feed, column.status == "open")
        with self._database.reader.connect() as connection:
            bodies = connection.execute(newest.order_by(column.seq.desc()).limit(limit)).scalars()
            return [msgspec.json.decode(body, type=Alert) for body in bodies]

    def ids(self, incident: str, unlike: Status, limit: int) -> list[str]:
        """Return the ids of an incident's alerts whose status is another one, oldest first."""
        column = tables.alert.c
        found = sa.select(column.id).where(column.incident == incident, column.status != unlike)
        with self._database.reader.connect() as connection:
            return list(connection.execute(found.order_by(column.seq).limit(limit)).scalars())

    def incident(self, incident_id: str) -> ToldIncident | None:
        """Return an incident by its id, None where there is none."""
        found = self._told(sa.select(tables.incident.c.body).where(tables.incident.c.id == incident_id))
        return found[0] if found else None

    def incidents(self, feed: str, wanted: Wanted, before: str | None, limit: int) -> Page:
        """Return a feed's incidents, the latest first, from behind `before`, a page's `next`.

        Raises
        ------
        ValueError
            `before` is no page's `next`.
        """
        column = tables.incident.c
        found = sa.select(column.body).where(
            column.feed == feed, *_conditions(wanted, tables.incident), *_of_incident(wanted)
        )
        if before is not None:
            seq, _, incident_id = before.partition(".")
            found = found.where(sa.tuple_(column.last_seq, column.id) < (int(seq), incident_id))
        told = self._told(found.order_by(column.last_seq.desc(), column.id.desc()).limit(limit + 1))
        page = told[:limit]
        return Page(page, f"{page[-1].last_seq}.{page[-1].id}" if len(told) > limit else None)

    def _told(self, statement: sa.Select[Any]) -> list[ToldIncident]:
        column = tables.alert.c
        with self._database.reader.connect() as connection:
            bodies = connection.execute(statement).scalars()
            incidents = [msgspec.json.decode(body, type=Incident) for body in bodies]
            ids = [incident.id for incident in incidents]
            counted = sa.select(column.incident, column.status, sa.func.count())
            by_status = counted.where(column.incident.in_(ids)).group_by(column.incident, column.status)
            statuses: dict[str, dict[Status, int]] = {}
            for incident_id, status, count in connection.execute(by_status):
                statuses.setdefault(incident_id, {})[status] = count
        return [
            ToldIncident(**msgspec.structs.asdict(one), statuses=statuses.get(one.id, {}))
            for one in incidents
        ]


def _conditions(wanted: Wanted, table: sa.Table = tables.alert) -> list[sa.ColumnElement[bool]]:
    """Return what is asked of alerts and incidents alike."""
    body = _json(table)
    found: list[sa.ColumnElement[bool]] = []
    if wanted.severity is not None:
        grades: Sequence[str] = get_args(Severity)
        found.append(table.c.severity.in_(grades[grades.index(wanted.severity) :]))
    if wanted.entity is not None:
        value = sa.func.json_each(body, "$.entities").table_valued("value").alias("entity")
        found.append(sa.exists(sa.select(value.c.value).where(value.c.value == wanted.entity)))
    if wanted.text is not None:
        said: sa.ColumnElement[Any] = sa.func.coalesce(_part(body, "summary"), "")
        for name in ("entities", "record"):
            said = said + " " + sa.func.coalesce(_part(body, name), "")
        found.append(sa.func.instr(sa.func.lower(said), sa.func.lower(wanted.text)) > 0)
    first, last = ("time", "time") if table is tables.alert else ("first_time", "last_time")
    if wanted.since is not None:
        found.append(_part(body, last) >= _moment(wanted.since))
    if wanted.until is not None:
        found.append(_part(body, first) <= _moment(wanted.until))
    return found


def _moment(at: datetime) -> str:
    """Return a moment as alerts have theirs; their texts stand in the order of time, "" before all others."""
    return rfc3339(at.timestamp()) or ("" if at.year < AN_AGE else "~")


def _of_alert(wanted: Wanted) -> list[sa.ColumnElement[bool]]:
    found: list[sa.ColumnElement[bool]] = []
    if wanted.status is not None:
        found.append(tables.alert.c.status == wanted.status)
    if wanted.incident is not None:
        found.append(tables.alert.c.incident == wanted.incident)
    if wanted.field is not None:
        reasons = sa.func.json_each(_json(tables.alert), "$.reasons").table_valued("value").alias("reason")
        named = _part(reasons.c.value, "field") == wanted.field
        found.append(sa.exists(sa.select(reasons.c.value).where(named)))
    return found


def _of_incident(wanted: Wanted) -> list[sa.ColumnElement[bool]]:
    column = tables.incident.c
    found: list[sa.ColumnElement[bool]] = []
    if wanted.status is not None:
        alert = tables.alert.c
        mine = sa.select(alert.id).where(alert.incident == column.id, alert.status == wanted.status)
        found.append(sa.exists(mine))
    if wanted.incident is not None:
        found.append(column.id == wanted.incident)
    if wanted.field is not None:
        found.append(_part(_json(tables.incident), "field") == wanted.field)
    return found


def _json(table: sa.Table) -> sa.ColumnElement[str]:
    return sa.cast(table.c.body, sa.Text)


def _part(body: Any, name: str) -> sa.ColumnElement[Any]:
    return sa.func.json_extract(body, f"$.{name}")
