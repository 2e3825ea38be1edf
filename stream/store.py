"""Reading what the engine committed. Safe from any thread: each call takes a read-only connection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from anomalyai.alert import Alert
from stream import tables
from stream.database import Database
from stream.results import unpack_scores

IDS_AT_ONCE = 500

Tally = dict[tuple[str, str], int]
"""Alerts by severity and status."""


class Scores(NamedTuple):
    """What the n records of an entry scored, against the threshold of their time; arrays are [n]."""

    first_seq: int
    score: NDArray[np.float64]
    flagged: NDArray[np.bool_]
    warming_up: NDArray[np.bool_]
    threshold: float


class Store:
    """Alerts, scores, positions and dead letters."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def alert_bodies(self, feed: str, after: int, until: int, limit: int) -> list[tuple[int, bytes]]:
        """Return (seq, alert as JSON) of a feed's alerts with seq in (after, until], ascending.

        A page holds `limit` alerts, or more so as not to part those of one record; its last seq continues it.
        """
        column = tables.alert.c
        mine = sa.select(column.seq, column.body, column.id).where(column.feed == feed, column.seq <= until)
        page = mine.where(column.seq > after).order_by(column.seq, column.id).limit(limit)
        with self._database.reader.connect() as connection:
            rows = list(connection.execute(page))
            if len(rows) == limit:
                last = rows[-1]
                rows += connection.execute(mine.where(column.seq == last.seq, column.id > last.id))
        return [(row.seq, row.body) for row in rows]

    def alert(self, alert_id: str) -> Alert | None:
        """Return an alert by its id, None where there is none."""
        column = tables.alert.c
        with self._database.reader.connect() as connection:
            body = connection.execute(sa.select(column.body).where(column.id == alert_id)).scalar()
        return None if body is None else msgspec.json.decode(body, type=Alert)

    def alerts_by_id(self, ids: Sequence[str]) -> dict[str, Alert]:
        """Return the alerts of some ids, as far as there are any."""
        column = tables.alert.c
        found: dict[str, Alert] = {}
        with self._database.reader.connect() as connection:
            for start in range(0, len(ids), IDS_AT_ONCE):
                some = column.id.in_(ids[start : start + IDS_AT_ONCE])
                for body in connection.execute(sa.select(column.body).where(some)).scalars():
                    alert = msgspec.json.decode(body, type=Alert)
                    found[alert.id] = alert
        return found

    def alert_tallies(self) -> dict[str, Tally]:
        """Return how many alerts each feed has, by severity and status."""
        column = tables.alert.c
        key = (column.feed, column.severity, column.status)
        tallies: dict[str, Tally] = {}
        with self._database.reader.connect() as connection:
            for feed, severity, status, count in connection.execute(
                sa.select(*key, sa.func.count()).group_by(*key)
            ):
                tallies.setdefault(feed, {})[severity, status] = count
        return tallies

    def scores(self, entry: int) -> Scores | None:
        """Return what an entry's records scored; None while they are not, or when it was set aside."""
        column = tables.score.c
        statement = sa.select(column.first_seq, column.n, column.threshold, column.body)
        with self._database.reader.connect() as connection:
            row = connection.execute(statement.where(column.entry == entry)).first()
        if row is None:
            return None
        return Scores(row.first_seq, *unpack_scores(row.body, row.n), row.threshold)

    def feeds(self) -> list[str]:
        """Return the names of the feeds that exist."""
        with self._database.reader.connect() as connection:
            return list(
                connection.execute(sa.select(tables.feed.c.feed).order_by(tables.feed.c.feed)).scalars()
            )

    def position(self, feed: str) -> tuple[int, int]:
        """Return the (entry, seq) up to which a feed's results are committed; (0, 0) at the beginning."""
        column = tables.position.c
        statement = sa.select(column.entry, column.seq).where(column.feed == feed)
        with self._database.reader.connect() as connection:
            row = connection.execute(statement).first()
        return (0, 0) if row is None else (row.entry, row.seq)

    def dead_letters(self, feed: str) -> dict[int, str]:
        """Return the entries that were set aside, with their errors."""
        column = tables.dead_letter.c
        statement = sa.select(column.entry, column.error).where(column.feed == feed)
        with self._database.reader.connect() as connection:
            return {entry: error for entry, error in connection.execute(statement)}

    def identity(self) -> str:
        """Return the name of this log."""
        with self._database.reader.connect() as connection:
            return str(connection.execute(sa.select(tables.identity.c.id)).scalar_one())
