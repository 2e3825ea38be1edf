"""`repair`: what can be read of a damaged database goes into a new file, and what is lost is counted.

In order, so that a crash in between loses nothing:

1. take the lock of the data directory: no server may run;
2. read every readable row of every table into a new database beside the old one;
3. mend what hangs together: positions, producers, feeds and the holes in each feed's numbers;
4. leave a mark that no server starts over; rename the old file (with its write-ahead file), then the new one
   to its place; remove the mark. A repair that was cut short here is finished by the next one.

A row of the log whose body does not match its checksum is kept: the engine sets it aside, and its numbers
stay used. A record that was lost keeps its number too: later ones continue after the highest ever seen.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from stream import tables
from stream.database import FILE_NAME, PAGE_BYTES, PENDING_NAME, Database, driver, readable_text
from stream.errors import DatabaseDamaged, LogFailure
from stream.lock import DataDirectoryLock
from stream.mending import FeedLoss, mend
from stream.salvage import TableWalk, keyed_rows, readable
from stream.snapshot import sync_folder, write_whole

FOLDER = "repair"
BATCH_ROWS = 64
SUFFIXES = ("-wal", "-shm", "")

COUNTED_BY = {
    "entry": "entry_by_feed",
    "alert": "alert_by_seq",
    "job": "job_by_feed",
    "dedup": "dedup_by_key",
}
"""An index of a table that knows how many rows it had."""

LEFT_OUT = frozenset({"hole"})  # found anew


class TableLoss(NamedTuple):
    """What became of a table; `lost` is None where it cannot be told."""

    table: str
    kept: int
    lost: int | None


class Report(NamedTuple):
    """What a repair saved and what not; `old` is the damaged file under its new name."""

    tables: list[TableLoss]
    feeds: list[FeedLoss]
    old: Path


def repair(data: Path) -> Report:
    """Save what can be read of a data directory's database.

    Raises
    ------
    DataDirectoryInUse
        A server runs on it.
    DatabaseDamaged
        There is no database, or nothing of it can be read.
    LogFailure
        The new file could not be written.
    """
    if not (data / FILE_NAME).exists() and not (data / PENDING_NAME).exists():
        raise DatabaseDamaged(
            f"there is no database in {data}", field="data", hint="name another with --data"
        )
    lock = DataDirectoryLock.acquire(data)
    try:
        if (data / PENDING_NAME).exists():
            return Report([], [], _swap(data))
        return _repair(data)
    except (sa.exc.DatabaseError, OSError) as error:
        raise LogFailure(
            f"the repair could not write its new file: {getattr(error, 'orig', None) or error}",
            hint="nothing was changed; it needs as much room as the old file takes",
        ) from error
    finally:
        lock.release()


def _repair(data: Path) -> Report:
    folder = data / FOLDER
    shutil.rmtree(folder, ignore_errors=True)
    fresh = Database(folder)
    fresh.migrate()
    fresh.checkpoint()
    source = _opened(data / FILE_NAME, fresh)
    try:
        with fresh.writer.begin() as connection:
            connection.execute(sa.delete(tables.identity))
            losses = [_copy(source, connection, table) for table in tables.metadata.sorted_tables]
            feeds = mend(connection, data / "snapshots")
    finally:
        source.close()
    fresh.checkpoint()
    fresh.close()
    number = 1
    while (data / f"{FILE_NAME}.damaged-{number}").exists():
        number += 1
    write_whole(data / PENDING_NAME, str(number).encode())
    return Report(losses, feeds, _swap(data))


def _swap(data: Path) -> Path:
    """Put the new file in the place of the old one; whatever of that is done already is not done again."""
    number = int((data / PENDING_NAME).read_bytes())
    new, old = data / FOLDER / FILE_NAME, data / f"{FILE_NAME}.damaged-{number}"
    if new.exists():
        for suffix in SUFFIXES:
            source, target = Path(f"{data / FILE_NAME}{suffix}"), Path(f"{old}{suffix}")
            if source.exists() and not target.exists():
                source.rename(target)
        sync_folder(data)
        new.rename(data / FILE_NAME)
    sync_folder(data)
    shutil.rmtree(data / FOLDER, ignore_errors=True)
    (data / PENDING_NAME).unlink()
    sync_folder(data)
    return old


def _opened(path: Path, fresh: Database) -> Any:
    """Open the damaged file for reading, if need be a copy of it with a first page that can be read."""
    connection = _connected(path)
    if readable(lambda: connection.execute("SELECT count(*) FROM entry WHERE entry < 0").fetchall()):
        return connection
    connection.close()
    copy = fresh.path.parent / "damaged.db"
    for suffix in ("", "-wal"):
        if Path(f"{path}{suffix}").exists():
            shutil.copyfile(f"{path}{suffix}", f"{copy}{suffix}")
    first = bytearray(fresh.path.read_bytes()[:PAGE_BYTES])
    pages = os.path.getsize(copy) // PAGE_BYTES
    first[28:40] = pages.to_bytes(4, "big") + bytes(8)  # its size, and no list of free pages
    with copy.open("r+b") as file:
        file.write(first)
    connection = _connected(copy)
    if not readable(lambda: connection.execute("SELECT count(*) FROM entry WHERE entry < 0").fetchall()):
        connection.close()
        raise DatabaseDamaged(
            f"nothing of the database {path} can be read",
            field="data",
            hint="restore the directory from a copy",
        )
    return connection


def _connected(path: Path) -> Any:
    connection = driver().connect(f"file:{quote(str(path.resolve()))}?mode=ro", uri=True)
    connection.text_factory = readable_text
    connection.execute("PRAGMA writable_schema=ON")  # a file shorter than it says is read as far as it goes
    connection.execute("PRAGMA cell_size_check=ON")
    return connection


def _copy(source: Any, connection: sa.Connection, table: sa.Table) -> TableLoss:
    """Copy the rows of a table that can be read, and that are sound."""
    names = [column.name for column in table.columns]
    if table.name in LEFT_OUT or not readable(
        lambda: source.execute(f'SELECT 1 FROM "{table.name}" WHERE 0').fetchall()
    ):
        return TableLoss(table.name, 0, 0 if table.name in LEFT_OUT else None)
    statement = insert(table).on_conflict_do_nothing()
    sizes: list[int] = []

    def keep(rows: list[tuple[Any, ...]]) -> None:
        sound = [dict(zip(names, row, strict=True)) for row in rows if _fits(table, row)]
        if sound:
            sizes.append(connection.execute(statement, sound).rowcount)

    if not table.dialect_options["sqlite"]["with_rowid"]:
        rows, broken = keyed_rows(source, table.name, names, [c.name for c in table.primary_key])
        keep(rows)
        return TableLoss(table.name, sum(sizes), None if broken else 0)
    walk = TableWalk(source, table.name, names)
    batch: list[tuple[Any, ...]] = []
    for row in walk.rows():
        batch.append(row)
        if len(batch) == BATCH_ROWS:
            keep(batch)
            batch = []
    keep(batch)
    kept = sum(sizes)
    known = walk.count(COUNTED_BY[table.name]) if table.name in COUNTED_BY and walk.broken else None
    return TableLoss(table.name, kept, (known and max(0, known - kept)) if walk.broken else 0)


def _fits(table: sa.Table, row: tuple[Any, ...]) -> bool:
    """Whether every value is of its column's type: a malformed page may be read as something else."""
    return all(
        isinstance(value, KINDS[type(column.type)]) if value is not None else column.nullable
        for column, value in zip(table.columns, row, strict=True)
    )


KINDS: dict[type[Any], type[Any] | tuple[type[Any], ...]] = {
    sa.Text: str,
    sa.BigInteger: int,
    sa.Float: (float, int),
    sa.LargeBinary: bytes,
}
