"""What a feed's log holds since some time, in log order: for trainings, the gate and what-if.

Read-only, beside the engine or from a process of its own while the server runs: SQLite's write-ahead log lets
readers see a committed state without holding the writer up, and pages are read in short transactions. An
entry that was set aside, or that can no longer be read, is passed over and counted, as in every replay.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import sqlalchemy as sa

from anomalyai.control import SchemaChange
from anomalyai.errors import AnomalyAIError
from anomalyai.schema import FeedSchema
from stream import tables
from stream.database import FILE_NAME, Database
from stream.errors import StoreVersion, UnknownFeed
from stream.log import LogItem, LogReader
from stream.store import Store

log = logging.getLogger("anomalyai.stream")


class Span(msgspec.Struct, frozen=True):
    """A part of a feed's log: the entries after `after` up to `upto`, the records from `first_seq` on.

    `records` says how many records these are, `schema` is the one in force at their beginning.
    """

    feed: str
    after: int
    upto: int
    first_seq: int
    records: int
    schema: FeedSchema


class History:
    """Reads parts of the log of one data directory. `passed_over` counts entries that were left out."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._reader = LogReader(database)
        self._store = Store(database)
        self.passed_over = 0

    @classmethod
    @contextmanager
    def open(cls, data: Path) -> Iterator[History]:
        """Open a data directory for reading, whether or not a server has it.

        Raises
        ------
        StoreVersion
            There is no database.
        """
        require_database(data)
        database = Database(data)
        try:
            yield cls(database)
        finally:
            database.close()

    def schema(self, feed: str, upto: int | None = None) -> FeedSchema:
        """Return the schema in force after entry `upto` (the end where None), an empty one before any."""
        change = self._reader.last_control(feed, "schema", upto)
        return change.schema if isinstance(change, SchemaChange) else FeedSchema()

    def span(
        self, feed: str, *, since_s: float | None = None, records: int | None = None, upto: int | None = None
    ) -> Span:
        """Return the part of a feed's log that began at a time, or holds so many records; else all of it.

        `since_s` (epoch seconds) is about when records came in, whatever times they carry; where `records` is
        given too, the shorter part counts. `upto` is its last entry, the end of the log as it is now where
        None.

        Raises
        ------
        UnknownFeed
            The log has nothing of such a feed.
        """
        last = self._reader.last_entry(feed)
        if not last:
            raise UnknownFeed(f"there is nothing of a feed {feed[:80]!r} in the log", field="feed")
        upto = last if upto is None else min(upto, last)
        after, first_seq, count = self._beginning(feed, since_s, records, upto)
        return Span(feed, after, upto, first_seq, count, self.schema(feed, after))

    def _beginning(
        self, feed: str, since_s: float | None, records: int | None, upto: int
    ) -> tuple[int, int, int]:
        """Return the entry before the part, its first record, and how many records it has."""
        column = tables.entry.c
        mine = (column.feed == feed, column.entry <= upto, column.first_seq.is_not(None))
        newest_seq = sa.select(column.first_seq + column.n - 1).where(*mine)
        with self._database.reader.connect() as connection:
            last_seq = connection.execute(newest_seq.order_by(column.first_seq.desc()).limit(1)).scalar()
            if last_seq is None:
                return 0, 1, 0
            first_seq = 1 if records is None else max(1, last_seq - records + 1)
            wanted = sa.select(column.entry, column.first_seq).where(
                *mine, column.first_seq + column.n > first_seq
            )
            if since_s is not None:
                wanted = wanted.where(column.arrival >= since_s)
            found = connection.execute(wanted.order_by(column.entry).limit(1)).first()
            if found is None:
                return upto, last_seq + 1, 0
            first_seq = max(first_seq, found.first_seq)
            counted = sa.select(sa.func.sum(column.n)).where(*mine, column.entry >= found.entry)
            count = int(connection.execute(counted).scalar_one()) - (first_seq - found.first_seq)
        whole = records is None and since_s is None
        return 0 if whole else found.entry - 1, first_seq, count

    def read(self, span: Span) -> Iterator[LogItem]:
        """Yield what the part holds, records and control entries, in log order.

        The schema in force at its beginning comes first, as the entry `span.after`, where there is one.
        """
        schema = span.schema
        if schema != FeedSchema():
            yield LogItem(span.after, span.feed, None, 0, 0.0, 0, SchemaChange(schema))
        set_aside = self._store.dead_letters(span.feed)
        for stored in self._reader.read(span.feed, span.after, span.upto):
            if stored.entry in set_aside:
                self.passed_over += 1
                continue
            try:
                item = stored.decode(schema)
            except AnomalyAIError as error:
                log.error("feed %s: entry %d is passed over: %s", span.feed, stored.entry, error)
                self.passed_over += 1
                continue
            if isinstance(item.control, SchemaChange):
                schema = item.control.schema
            yield _cut(item, span.first_seq)


def require_database(data: Path) -> None:
    """Check that a data directory has a database; raises `StoreVersion`."""
    if not (data / FILE_NAME).is_file():
        raise StoreVersion(
            f"there is no database in {data}",
            field="data",
            hint="name the --data directory of a server that ran before",
        )


def _cut(item: LogItem, first_seq: int) -> LogItem:
    """Return an entry without the records before `first_seq`."""
    batch = item.records
    if batch is None or batch.first_seq >= first_seq:
        return item
    rest = batch.slice(first_seq - batch.first_seq, batch.n)
    return msgspec.structs.replace(item, payload=rest, first_seq=first_seq, n=rest.n)
