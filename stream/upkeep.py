"""What the writer does to the log while nothing waits for it: pack old bodies, drop what is past its time.

In steps, each one small transaction of its own, so that an append waits for one step at most: a step packs
`PACK_BYTES` (or one body) or drops `DROP_ENTRIES` entries or `DROP_BYTES`. Under pressure only dropping goes
on, a step every `BUSY_S`, so that the bound on size holds then too.

Only entries that recovery does not need are touched: packed is what the newest snapshot covers, dropped what
the oldest kept one covers, nothing that is not committed, and never a feed's newest records or its schemas.
What is dropped takes its scores along; alerts stay. The file does not shrink: its free pages are used again.
Single-threaded: only the writer's thread calls it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from stream import settings, tables
from stream.clock import Clock
from stream.database import Database
from stream.log import RECORDS
from stream.packing import PACKED, SMALL_BYTES, pack
from stream.results import Statement
from stream.snapshot import KEPT, Snapshots
from stream.transaction import Transaction

IDLE_S = 0.02
"""How long nothing must have come before a step."""

REST_S = 10.0
"""How long nothing is looked for after everything was."""

BUSY_S = 0.25
PACK_BYTES = 256 * 1024
PACK_WINDOW = 512
DROP_ENTRIES = 64
DROP_BYTES = 8 * 1024 * 1024
DAY_S = 86_400.0


class Bounds(NamedTuple):
    """Up to which entries of a feed may be dropped, and packed."""

    drop: int
    pack: int


NOTHING = Bounds(0, 0)


class Upkeep:
    """The sweeps over one log, from its beginning to its end and again."""

    def __init__(self, database: Database, snapshots: Snapshots, limits: settings.Log, clock: Clock) -> None:
        self._database = database
        self._snapshots = snapshots
        self._limits = limits
        self._clock = clock
        self._bounds: dict[str, Bounds] = {}
        self._idle: Iterator[Statement | None] = iter(())
        self._busy: Iterator[Statement | None] = iter(())
        self._packed_to = 0
        self._stepped_s = 0.0
        self._resting = True

    @property
    def pause_s(self) -> float:
        """How long nothing must come before the writer asks for the next step."""
        return REST_S if self._resting else IDLE_S

    def overdue(self) -> bool:
        """Whether a busy writer should take a step of dropping in between; looked at once in `BUSY_S`."""
        now_s = self._clock.monotonic_s()
        if now_s - self._stepped_s < BUSY_S:
            return False
        self._stepped_s = now_s
        return self._is_over()

    def step(self) -> Statement | None:
        """Return the next unit of an idle writer's, None where this step found nothing to do."""
        if self._resting:
            self._bounds = self._found_bounds()
            self._idle = itertools.chain(self._drops(), self._packs())
        for unit in self._idle:
            self._resting = False
            return unit
        self._resting = True
        return None

    def busy_step(self) -> Statement | None:
        """Return the next unit of dropping, None where this step found nothing to do."""
        self._stepped_s = self._clock.monotonic_s()
        for unit in self._busy:
            return unit
        self._bounds = self._found_bounds()
        self._busy = self._drops()
        return next(self._busy, None)

    def _is_over(self) -> bool:
        """Whether the file is larger than it may be, or anything may be too old."""
        return bool(self._limits.max_age_days) or self._is_too_large()

    def _is_too_large(self) -> bool:
        if not self._limits.max_size_bytes:
            return False
        with self._database.reader.connect() as connection:
            pages, free, size_bytes = (
                int(connection.exec_driver_sql(f"PRAGMA {name}").scalar_one())
                for name in ("page_count", "freelist_count", "page_size")
            )
        return (pages - free) * size_bytes > self._limits.max_size_bytes

    def _drops(self) -> Iterator[Statement | None]:
        """Yield what drops the oldest entries, as long as they are too old or the file is too large."""
        column = tables.entry.c
        size = sa.func.length(column.body).label("size_bytes")
        columns = (column.entry, column.feed, column.kind, column.first_seq, column.n, column.arrival, size)
        after, oldest_s = 0, -math.inf
        while True:
            too_large = self._is_too_large()
            if self._limits.max_age_days:
                oldest_s = self._clock.now_s() - self._limits.max_age_days * DAY_S
            select = sa.select(*columns).where(column.entry > after).order_by(column.entry)
            rows = self._read(select.limit(DROP_ENTRIES))
            gone: list[Any] = []
            size_bytes = 0
            for row in rows:
                if size_bytes >= DROP_BYTES or not (too_large or row.arrival < oldest_s):
                    break
                after = row.entry
                if row.entry <= self._bounds.get(row.feed, NOTHING).drop and row.kind != "schema":
                    gone.append(row)
                    size_bytes += row.size_bytes
            if not gone and (not rows or after < rows[-1].entry):
                return
            yield drop(gone) if gone else None

    def _packs(self) -> Iterator[Statement | None]:
        """Yield what packs bodies; those that a snapshot does not cover yet are left for the next sweep."""
        column = tables.entry.c
        last = self._read(sa.select(sa.func.coalesce(sa.func.max(column.entry), 0)))[0][0]
        left = last
        while self._packed_to < last:
            upto = min(self._packed_to + PACK_WINDOW, last)
            wanted = sa.select(column.entry, column.feed).where(
                column.entry > self._packed_to,
                column.entry <= upto,
                column.kind == RECORDS,
                column.codec.not_like(f"%{PACKED}"),
                sa.func.length(column.body) >= SMALL_BYTES,
            )
            packed: list[tuple[int, str, bytes]] = []
            size_bytes = 0
            for entry, feed in self._read(wanted.order_by(column.entry)):
                if entry > self._bounds.get(feed, NOTHING).pack:
                    left = min(left, entry - 1)
                    continue
                body = sa.select(column.codec, column.crc, column.body).where(column.entry == entry)
                for row in self._read(body):
                    size_bytes += len(row.body)
                    done = pack(*row)
                    packed += [] if done is None else [(entry, *done)]
                if size_bytes >= PACK_BYTES:
                    upto = entry
                    break
            self._packed_to = upto
            yield replace(packed) if packed else None
        self._packed_to = left

    def _found_bounds(self) -> dict[str, Bounds]:
        """Return each feed's bounds; they stand still for a sweep, so that nothing is left out between."""
        column = tables.entry.c
        committed = self._read(sa.select(tables.position.c.feed, tables.position.c.entry))
        found: dict[str, Bounds] = {}
        for feed, position in committed:
            newest = sa.select(column.entry).where(column.feed == feed, column.first_seq.is_not(None))
            rows = self._read(newest.order_by(column.first_seq.desc()).limit(1))
            snapshots = self._snapshots.entries(feed)[:KEPT]  # the others are only stood on
            if rows and snapshots:
                found[feed] = Bounds(
                    min(snapshots[-1], position, rows[0][0] - 1), min(snapshots[0], position)
                )
        return found

    def _read(self, statement: sa.Select[Any]) -> Sequence[Any]:
        with self._database.reader.connect() as connection:
            return connection.execute(statement).all()


def drop(rows: Sequence[Any]) -> Statement:
    """Return the unit that drops entries, with their scores, and writes down how far each feed is cut."""
    entries = [row.entry for row in rows]
    cuts: dict[str, dict[str, Any]] = {}
    for row in rows:
        cut = cuts.setdefault(row.feed, {"feed": row.feed, "entry": 0, "seq": 0, "records": 0})
        cut["entry"] = row.entry
        if row.first_seq is not None:
            cut["seq"] = row.first_seq + row.n - 1
            cut["records"] += row.n

    def run(transaction: Transaction) -> None:
        for table in (tables.entry, tables.score, tables.dead_letter):
            transaction.execute(sa.delete(table).where(table.c.entry.in_(entries)))
        transaction.add(_CUT, *cuts.values())

    return Statement(run)


def replace(packed: Sequence[tuple[int, str, bytes]]) -> Statement:
    """Return the unit that puts packed bodies in the place of those that they were made of."""

    def run(transaction: Transaction) -> None:
        for entry, codec, body in packed:
            row = sa.update(tables.entry).where(tables.entry.c.entry == entry)
            transaction.execute(row.values(codec=codec, body=body))

    return Statement(run)


_cut = insert(tables.cut)
_CUT = _cut.on_conflict_do_update(
    index_elements=["feed"],
    set_={
        "entry": sa.func.max(tables.cut.c.entry, _cut.excluded.entry),
        "seq": sa.func.max(tables.cut.c.seq, _cut.excluded.seq),
        "records": tables.cut.c.records + _cut.excluded.records,
    },
)
