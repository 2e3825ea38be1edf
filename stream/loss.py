"""What the log of a feed no longer has: records that retention dropped, and holes that a repair left.

Their numbers stay used. Safe from any thread: each call takes a read-only connection.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import sqlalchemy as sa

from stream import tables
from stream.database import Database
from stream.errors import RecordGone

SHOWN_HOLES = 20


class Cut(NamedTuple):
    """Everything of a feed's records up to `entry` and `seq` was dropped, `records` in all."""

    entry: int = 0
    seq: int = 0
    records: int = 0


class Losses:
    """The reading side of the tables `cut` and `hole`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def cut(self, feed: str) -> Cut:
        """Return how far retention has dropped a feed's records."""
        column = tables.cut.c
        statement = sa.select(column.entry, column.seq, column.records).where(column.feed == feed)
        with self._database.reader.connect() as connection:
            row = connection.execute(statement).first()
        return Cut() if row is None else Cut(*row)

    def holes(self, feed: str) -> list[tuple[int, int]]:
        """Return the (first, last) seqs of every hole, ascending."""
        column = tables.hole.c
        statement = sa.select(column.first_seq, column.last_seq).where(column.feed == feed)
        with self._database.reader.connect() as connection:
            return [(first, last) for first, last in connection.execute(statement.order_by(column.first_seq))]

    def require(self, feed: str, seq: int) -> None:
        """Tell a record that was there once from one that never was.

        Raises
        ------
        RecordGone
            Retention dropped it, or a repair could not save it.
        """
        cut = self.cut(feed)
        if 1 <= seq <= cut.seq:
            raise RecordGone(
                f"record {seq} of feed {feed!r} is no longer kept, the oldest is {cut.seq + 1}",
                field="seq",
                hint="log.max_age_days and log.max_size_bytes say how long records are kept; alerts stay",
            )
        for first, last in self.holes(feed):
            if first <= seq <= last:
                raise RecordGone(
                    f"records {first} to {last} of feed {feed!r} were lost when the database was repaired",
                    field="seq",
                    hint="send them again under other numbers if you still have them",
                )

    def describe(self, feed: str) -> dict[str, Any]:
        """Return the figures of a feed's log: `first_seq`, `dropped`, `lost` and the first `holes`."""
        cut, holes = self.cut(feed), self.holes(feed)
        return {
            "first_seq": cut.seq + 1,
            "dropped": cut.records,
            "lost": sum(last - first + 1 for first, last in holes),
            "holes": [list(hole) for hole in holes[:SHOWN_HOLES]],
        }
