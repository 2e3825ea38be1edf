"""The log of a data directory: admitted records and control entries of all feeds, in one order.

`Log.append` queues an append with the writer; its future resolves after COMMIT, with the entry numbers.
What was appended is handed to `on_appended` in log order, already decoded, before the future resolves.
`LogReader` reads entries back and checks each body's CRC-32, which is of the body as it was appended, also
where `stream.upkeep` has packed it since.

What an ack promises is `log.durability`. `fsync` (the default): the group's pages and its COMMIT are in the
write-ahead file and `fdatasync` of it has returned, so a killed process, a crashed system and a power cut
lose nothing that was acknowledged, as far as the disk keeps what it says that it has. `os`: the operating
system has them; a killed process loses nothing, a crashed system or a power cut may take the newest acks, in
order from the end, never one from the middle, and the file stays sound. A checkpoint into the main file is
synced under both. An fsync that fails is not tried again, since what it lost cannot be told: the writer
refuses everything until a restart, which reads back what is there.

If an append of a feed fails, every later one that was numbered after it fails too (its epoch is over), so
that a feed never has a gap. Locks: none; `append` runs on the caller's thread, the rest on the writer's, and
the epoch of a feed is written by the writer alone.
"""

from __future__ import annotations

import logging
import math
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from typing import Any, NamedTuple, cast

import msgspec
import sqlalchemy as sa

from anomalyai.arrival import Origins
from anomalyai.control import ControlEntry
from anomalyai.records import Codec, RecordBatch
from anomalyai.schema import FeedSchema
from stream import tables
from stream.database import Database
from stream.errors import LogDamaged, LogFailure
from stream.packing import PACKED, is_sound, unpack
from stream.transaction import Statements, Transaction
from stream.writer import Work, Writer

RECORDS = "records"
READ_ROWS = 64
READ_BYTES = 16 * 1024 * 1024

log = logging.getLogger("anomalyai.stream")


class LogItem(msgspec.Struct, frozen=True, gc=False):
    """One entry of the log, decoded: a batch of records, or a control entry (`first_seq` None, `n` 0)."""

    entry: int
    feed: str
    first_seq: int | None
    n: int
    arrival_s: float
    size_bytes: int
    payload: Any
    origins: Origins | None = None  # of several entries that were joined

    @property
    def records(self) -> RecordBatch | None:
        """The batch, or None for a control entry."""
        return self.payload if self.first_seq is not None else None

    @property
    def control(self) -> ControlEntry | None:
        """The control entry, or None for records."""
        return self.payload if self.first_seq is None else None


class Entry(NamedTuple):
    """What is to become a row of the log: a numbered batch of `n` records, or a control entry (`n` 0)."""

    payload: RecordBatch | ControlEntry
    kind: str
    first_seq: int | None
    n: int
    codec: str
    body: bytes

    @classmethod
    def of(cls, payload: RecordBatch | ControlEntry) -> Entry:
        """Return the entry of a payload; a part of a batch is written out anew here."""
        if isinstance(payload, RecordBatch):
            return cls(payload, RECORDS, payload.first_seq, payload.n, payload.codec, payload.body)
        tag = str(type(payload).__struct_config__.tag)
        return cls(payload, tag, None, 0, "json", msgspec.json.encode(payload))


class _Append(Work):
    """What one frame or one control entry adds to the log, with what belongs in the same transaction."""

    def __init__(
        self,
        log: Log,
        feed: str,
        epoch: int,
        entries: Sequence[Entry],
        shared: dict[str, Any],
        also: Sequence[Statements],
    ) -> None:
        self._log = log
        self._feed = feed
        self._epoch = epoch
        self._arrival_s = float(shared["arrival"])
        self._entries = entries
        self._rows = [_row(entry, shared) for entry in entries]
        self._also = also
        self._numbers: list[int] = []
        self.size_bytes = sum(len(entry.body) for entry in entries)
        self.durable: Future[list[int]] = Future()

    def write(self, transaction: Transaction) -> None:
        """Give the rows their numbers and add them."""
        if self._log.epoch(self._feed) != self._epoch:
            raise LogFailure(
                f"an earlier append to the feed {self._feed!r} failed, so this one was not kept either",
                hint="send it again",
            )
        self._numbers = [transaction.next_entry() for _ in self._rows]
        for number, row in zip(self._numbers, self._rows, strict=True):
            transaction.add(_INSERT, {"entry": number, **row})
        for statements in self._also:
            statements(transaction)

    def committed(self) -> None:
        """Hand the entries over, then answer."""
        self._log.on_appended(
            [
                LogItem(number, self._feed, e.first_seq, e.n, self._arrival_s, len(e.body), e.payload)
                for number, e in zip(self._numbers, self._entries, strict=True)
            ]
        )
        self.durable.set_result(self._numbers)

    def failed(self, error: LogFailure) -> None:
        """End the feed's epoch, then answer."""
        self._log.end_epoch(self._feed, self._epoch)
        self.durable.set_exception(error)


class Log:
    """The appending side."""

    def __init__(self, writer: Writer, on_appended: Callable[[list[LogItem]], None]) -> None:
        self._writer = writer
        self._epochs: dict[str, int] = {}
        self.on_appended = on_appended

    def epoch(self, feed: str) -> int:
        """Return how often an append of the feed has failed; an append of an older epoch is refused."""
        return self._epochs.get(feed, 0)

    def end_epoch(self, feed: str, epoch: int) -> None:
        """Let every queued append of this epoch of the feed fail. Called by the writer thread."""
        if self.epoch(feed) == epoch:
            self._epochs[feed] = epoch + 1

    def append(
        self,
        feed: str,
        epoch: int,
        entries: Sequence[Entry],
        *,
        arrival_s: float,
        producer: str | None = None,
        batch: int | None = None,
        also: Sequence[Statements] = (),
    ) -> Future[list[int]]:
        """Queue an append; returns at once. The future gives the entry numbers, or raises `LogFailure`.

        `entries` are in log order, `epoch` is what `epoch(feed)` was when they were numbered, `arrival_s`
        epoch seconds, `also` statements for the same transaction.
        """
        shared = {"feed": feed, "arrival": arrival_s, "producer": producer, "batch": batch}
        append = _Append(self, feed, epoch, entries, shared, also)
        try:
            self._writer.submit(append)
        except LogFailure as error:
            append.durable.set_exception(error)
        return append.durable


class StoredEntry(msgspec.Struct, frozen=True, gc=False):
    """One row of the log as stored."""

    entry: int
    feed: str
    kind: str
    first_seq: int | None
    n: int
    arrival: float
    codec: str
    crc: int
    body: bytes

    def decode(self, schema: FeedSchema) -> LogItem:
        """Check the body and decode it; records are read under `schema`.

        Raises
        ------
        LogDamaged
            The body does not match its checksum, or is no control entry that this version knows.
        """
        payload: RecordBatch | ControlEntry
        if self.kind == RECORDS:
            assert self.first_seq is not None
            body = self.sound_body()
            codec = cast(Codec, self.codec.removesuffix(PACKED))
            payload = RecordBatch.from_log(schema, codec, body, self.first_seq, self.arrival)
        else:
            payload = self.control()
        return LogItem(self.entry, self.feed, self.first_seq, self.n, self.arrival, len(self.body), payload)

    @property
    def sound(self) -> bool:
        """Whether the body is the one that was appended."""
        return is_sound(self.codec, self.crc, self.body)

    def sound_body(self) -> bytes:
        """Return the body as it was appended, unpacked.

        Raises
        ------
        LogDamaged
            It does not match its checksum.
        """
        _, body = unpack(self.codec, self.body)
        found = zlib.crc32(body)
        if found != self.crc:
            raise LogDamaged(
                f"entry {self.entry} of feed {self.feed!r} has checksum {found}, expected {self.crc}: "
                f"{_held(self)} cannot be read any more",
                hint="look at the disk of the data directory; the rest of the feed is not concerned",
            )
        return body

    def control(self) -> ControlEntry:
        """Check and decode the body of a control entry.

        Raises
        ------
        LogDamaged
            It does not match its checksum, or is none that this version knows.
        """
        body = self.sound_body()
        try:
            return cast(ControlEntry, msgspec.json.decode(body, type=ControlEntry))
        except msgspec.DecodeError as error:
            raise LogDamaged(
                f"entry {self.entry} of feed {self.feed!r}, kind {self.kind!r}, cannot be read: {error}",
                hint="was it written by a newer version?",
            ) from error


class LogReader:
    """The reading side: safe to use from any thread, each call takes a connection of its own."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def read(self, feed: str, after: int, upto: int | None = None) -> Iterator[StoredEntry]:
        """Yield a feed's entries in order, from the one after `after` to `upto` (the end where None)."""
        statement = _SELECT.where(tables.entry.c.feed == feed).order_by(tables.entry.c.entry)
        if upto is not None:
            statement = statement.where(tables.entry.c.entry <= upto)
        while page := self._page(statement.where(tables.entry.c.entry > after)):
            yield from page
            after = page[-1].entry

    def holding(self, feed: str, seq: int) -> StoredEntry | None:
        """Return the entry that holds a record, or None where the feed has no such record."""
        column = tables.entry.c
        statement = _SELECT.where(column.feed == feed, column.first_seq <= seq)
        found = self._one(statement.order_by(column.first_seq.desc()).limit(1))
        return found if found is not None and seq < (found.first_seq or 0) + found.n else None

    def read_back(self, feed: str, before: int | None = None) -> Iterator[StoredEntry]:
        """Yield a feed's entries of records, the newest first, or only those that begin before a seq."""
        column = tables.entry.c
        statement = _SELECT.where(column.feed == feed, column.first_seq.is_not(None))
        if before is not None:
            statement = statement.where(column.first_seq < before)
        statement = statement.order_by(column.first_seq.desc())
        page = self._page(statement)
        while page:
            yield from page
            page = self._page(statement.where(column.first_seq < page[-1].first_seq))

    def last_control(self, feed: str, kind: str, upto: int | None = None) -> ControlEntry | None:
        """Return the feed's newest control entry of a kind, not after entry `upto` (the end where None).

        One that does not match its checksum is passed over for the one before it.
        """
        while (found := self._newest(feed, kind, upto)) is not None:
            if found.sound:
                return found.control()
            log.error("feed %s: the %s entry %d is damaged and passed over", feed, kind, found.entry)
            upto = found.entry - 1
        return None

    def damaged_control(self, feed: str, kind: str) -> int | None:
        """Return the feed's newest control entry of a kind where that is damaged, None where it is sound."""
        found = self._newest(feed, kind, None)
        return None if found is None or found.sound else found.entry

    def last_seq(self, feed: str) -> int:
        """Return the highest number that a record of the feed ever had, 0 where there was none."""
        with self._database.reader.connect() as connection:
            return int(connection.execute(_LAST_SEQ, {"feed": feed}).scalar_one())

    def last_entry(self, feed: str) -> int:
        """Return the number of the feed's last entry, 0 where there is none."""
        statement = sa.select(sa.func.max(tables.entry.c.entry)).where(tables.entry.c.feed == feed)
        with self._database.reader.connect() as connection:
            return connection.execute(statement).scalar_one() or 0

    def last_arrival_s(self, feed: str) -> float:
        """Return when the feed's last entry arrived, in epoch seconds; -inf where there is none."""
        column = tables.entry.c
        statement = (
            sa.select(column.arrival).where(column.feed == feed).order_by(column.entry.desc()).limit(1)
        )
        with self._database.reader.connect() as connection:
            found = connection.execute(statement).scalar()
        return -math.inf if found is None else float(found)

    def _newest(self, feed: str, kind: str, upto: int | None) -> StoredEntry | None:
        column = tables.entry.c
        statement = _SELECT.where(column.feed == feed, sa.text("kind <> 'records'"), column.kind == kind)
        if upto is not None:
            statement = statement.where(column.entry <= upto)
        return self._one(statement.order_by(column.entry.desc()).limit(1))

    def _page(self, statement: sa.Select[Any]) -> list[StoredEntry]:
        """Return the first entries of a selection, as many as fit in memory well."""
        page: list[StoredEntry] = []
        size_bytes = 0
        with self._database.reader.connect() as connection:
            rows = connection.execute(statement.limit(READ_ROWS))
            while size_bytes < READ_BYTES and (row := rows.fetchone()) is not None:
                page.append(_stored(row))
                size_bytes += len(row.body)
            rows.close()
        return page

    def _one(self, statement: sa.Select[Any]) -> StoredEntry | None:
        with self._database.reader.connect() as connection:
            row = connection.execute(statement).first()
        return None if row is None else _stored(row)


def _last_seq() -> sa.Select[Any]:
    """Return the selection of a feed's highest number: what a repair did not find again had numbers too."""
    column = tables.entry.c
    feed: sa.BindParameter[str] = sa.bindparam("feed")
    newest = sa.select(column.first_seq + column.n - 1).where(
        column.feed == feed, column.first_seq.is_not(None)
    )
    parts = (
        newest.order_by(column.first_seq.desc()).limit(1),
        sa.select(tables.position.c.seq).where(tables.position.c.feed == feed),
        sa.select(sa.func.max(tables.hole.c.last_seq)).where(tables.hole.c.feed == feed),
    )
    return sa.select(sa.func.max(*(sa.func.coalesce(part.scalar_subquery(), 0) for part in parts)))


_INSERT = sa.insert(tables.entry)
_LAST_SEQ = _last_seq()
_SELECT = sa.select(*(tables.entry.c[name] for name in StoredEntry.__struct_fields__))


def _stored(row: Any) -> StoredEntry:
    """Return a row as an entry; a body that is no longer taken for bytes fits no checksum."""
    stored = StoredEntry(*row)
    return stored if isinstance(stored.body, bytes) else msgspec.structs.replace(stored, body=b"")


def _held(stored: StoredEntry) -> str:
    """Return what an entry holds, in words."""
    if stored.first_seq is None:
        return f"its control entry ({stored.kind})"
    return f"its records {stored.first_seq} to {stored.first_seq + stored.n - 1}"


def _row(entry: Entry, shared: dict[str, Any]) -> dict[str, Any]:
    return {
        **shared,
        "kind": entry.kind,
        "first_seq": entry.first_seq,
        "n": entry.n,
        "codec": entry.codec,
        "crc": zlib.crc32(entry.body),
        "body": entry.body,
    }
