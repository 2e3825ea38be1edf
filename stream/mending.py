"""What a repair sets right in the tables that it saved, and what it finds missing of each feed.

Whatever told of a record tells that its number is used: positions, scores, alerts, dead letters and answers
that were given. Single-threaded: `stream.repair` calls it inside its one transaction.
"""

from __future__ import annotations

import uuid
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from stream import tables
from stream.dedup import Answer
from stream.packing import is_sound
from stream.snapshot import SUFFIX, Header

HEADER_BYTES = 64 * 1024


class FeedLoss(NamedTuple):
    """What is kept of a feed: records, of them `damaged` in entries with a wrong checksum, and lost seqs."""

    feed: str
    kept: int
    damaged: int
    holes: list[tuple[int, int]]

    @property
    def lost(self) -> int:
        """How many records are lost."""
        return sum(last - first + 1 for first, last in self.holes)


def mend(connection: sa.Connection, snapshots: Path) -> list[FeedLoss]:
    """Set right what hangs together; returns what became of every feed, by name."""
    if connection.execute(sa.select(tables.identity.c.id)).first() is None:
        connection.execute(tables.identity.insert(), {"id": _identity(snapshots)})
    _mend_feeds(connection)
    _mend_producers(connection)
    _mend_positions(connection, snapshots)
    feeds = connection.execute(sa.select(tables.feed.c.feed).order_by(tables.feed.c.feed)).scalars().all()
    return [_losses(connection, feed) for feed in feeds]


def _identity(snapshots: Path) -> str:
    """Return the name of the log as a snapshot has it, else a new one."""
    return next((header.log for header in _headers(snapshots)), uuid.uuid4().hex)


def _headers(snapshots: Path) -> Iterator[Header]:
    """Yield what stands before the state in every snapshot, as far as it can be read."""
    for path in sorted(snapshots.glob(f"*/*{SUFFIX}")):
        try:
            with path.open("rb") as file:
                yield msgspec.json.decode(file.readline(HEADER_BYTES), type=Header)
        except (OSError, msgspec.DecodeError):
            continue  # as damaged as the database: the next one


def _mend_feeds(connection: sa.Connection) -> None:
    """Let every feed that has entries or keys exist, and its keys go on after the last."""
    entry, dedup = tables.entry.c, tables.dedup.c
    found: dict[str, dict[str, Any]] = {
        feed: {"feed": feed, "created": created, "rejected": 0, "shed": 0, "key_count": 0}
        for feed, created in connection.execute(
            sa.select(entry.feed, sa.func.min(entry.arrival)).group_by(entry.feed)
        )
    }
    for feed, number in connection.execute(
        sa.select(dedup.feed, sa.func.max(dedup.number)).group_by(dedup.feed)
    ):
        row = {"feed": feed, "created": 0.0, "rejected": 0, "shed": 0}
        found.setdefault(feed, row)["key_count"] = number
    statement = insert(tables.feed)
    statement = statement.on_conflict_do_update(
        index_elements=["feed"],
        set_={"key_count": sa.func.max(tables.feed.c.key_count, statement.excluded.key_count)},
    )
    if found:
        connection.execute(statement, list(found.values()))


def _mend_producers(connection: sa.Connection) -> None:
    """Let every producer go on after the last batch that is kept of it, so that none is taken twice."""
    entry = tables.entry.c
    newest = sa.select(entry.feed, entry.producer, sa.func.max(entry.batch) + 1).where(
        entry.producer.is_not(None), entry.batch.is_not(None)
    )
    statement = insert(tables.producer)
    statement = statement.on_conflict_do_update(
        index_elements=["feed", "producer"],
        set_={"next_batch": sa.func.max(tables.producer.c.next_batch, statement.excluded.next_batch)},
    )
    rows = connection.execute(newest.group_by(entry.feed, entry.producer)).all()
    if rows:
        names = ("feed", "producer", "next_batch")
        connection.execute(statement, [dict(zip(names, row, strict=True)) for row in rows])


def _mend_positions(connection: sa.Connection, snapshots: Path) -> None:
    """Let no position lie before a score that was committed with it, or a snapshot saved after it."""
    score, position = tables.score.c, tables.position
    newest: dict[str, dict[str, Any]] = {}
    rows = sa.select(score.feed, score.entry, score.first_seq + score.n - 1).order_by(score.entry)
    for feed, entry, seq in connection.execute(rows):
        newest[feed] = {"feed": feed, "entry": entry, "seq": seq}
    identity = connection.execute(sa.select(tables.identity.c.id)).scalar_one()
    for header in _headers(snapshots):
        if header.log == identity and header.entry > newest.get(header.feed, {"entry": 0})["entry"]:
            newest[header.feed] = {"feed": header.feed, "entry": header.entry, "seq": header.seq}
    statement = insert(position)
    statement = statement.on_conflict_do_update(
        index_elements=["feed"],
        set_={"entry": statement.excluded.entry, "seq": statement.excluded.seq},
        where=position.c.entry < statement.excluded.entry,
    )
    if newest:
        connection.execute(statement, list(newest.values()))


def _losses(connection: sa.Connection, feed: str) -> FeedLoss:
    """Find the holes in a feed's numbers and write them down."""
    entry, cut = tables.entry.c, tables.cut.c
    expected = 1 + (connection.execute(sa.select(cut.seq).where(cut.feed == feed)).scalar() or 0)
    kept = damaged = 0
    holes: list[tuple[int, int]] = []
    rows = sa.select(entry.entry, entry.first_seq, entry.n, entry.codec, entry.crc, entry.body)
    rows = rows.where(entry.feed == feed, entry.first_seq.is_not(None)).order_by(entry.first_seq)
    for number, first_seq, n, codec, crc, body in connection.execute(rows):
        if first_seq < expected:  # a page that was read as something else: these numbers are taken
            connection.execute(sa.delete(tables.entry).where(entry.entry == number))
            continue
        if first_seq > expected:
            holes.append((expected, first_seq - 1))
        kept += n
        damaged += 0 if is_sound(codec, crc, body) else n
        expected = first_seq + n
    highest = max(_told(connection, feed), default=0)
    if highest >= expected:
        holes.append((expected, highest))
    if holes:
        connection.execute(
            tables.hole.insert(), [{"feed": feed, "first_seq": a, "last_seq": b} for a, b in holes]
        )
    return FeedLoss(feed, kept, damaged, holes)


def _told(connection: sa.Connection, feed: str) -> Iterator[int]:
    """Yield the highest numbers of a feed that anything but its entries tells of."""
    for table, seq in (
        (tables.position, tables.position.c.seq),
        (tables.score, tables.score.c.first_seq + tables.score.c.n - 1),
        (tables.alert, tables.alert.c.seq),
        (tables.dead_letter, tables.dead_letter.c.first_seq + tables.dead_letter.c.n - 1),
    ):
        yield connection.execute(sa.select(sa.func.max(seq)).where(table.c.feed == feed)).scalar() or 0
    answers = sa.select(tables.dedup.c.answer).where(tables.dedup.c.feed == feed)
    for (packed,) in connection.execute(answers):
        try:
            ack = msgspec.json.decode(zlib.decompress(packed), type=Answer).ack
        except (zlib.error, msgspec.DecodeError):
            continue  # damaged inside its row: it tells nothing
        yield (ack.last_seq or 0) if ack is not None else 0
