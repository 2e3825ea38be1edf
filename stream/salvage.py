"""Reading every row of a damaged table that can still be read.

SQLite reads a table up to the first malformed page and then gives up. So it is read forwards from its
beginning and backwards from its end as far as that goes, and what lies between is probed in steps, each good
place read in both directions. Single-threaded; it reads, and changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from stream.database import driver, primary_code

PROBES = 4096
BEYOND = 1_000_000
"""How far after the last row that was read rows are looked for, where nothing says how many there are."""

LOST_CODES = frozenset({1, 10, 11, 26})  # ERROR (of a schema that cannot be read), IOERR, CORRUPT, NOTADB

Row = tuple[Any, ...]


class TableWalk:
    """The rows of one table; `broken` is set as soon as a part of it could not be read."""

    def __init__(self, connection: Any, table: str, columns: list[str]) -> None:
        self._connection = connection
        self._table = table
        self._columns = ", ".join(f'"{name}"' for name in columns)
        self.broken = False

    def rows(self) -> Iterator[Row]:
        """Yield what can be read of the columns, a row once, in no promised order."""
        low = 0
        for key, row in self._run(0, None):
            low = key + 1
            yield row
        if not self.broken:
            return
        high = self._top(low)
        for key, row in self._run(low, high, descending=True):
            high = key - 1
            yield row
        yield from self._between(low, high)

    def count(self, index: str) -> int | None:
        """Return how many rows an index of the table knows, None where it cannot be read."""
        return self._scalar(f'SELECT count(*) FROM "{self._table}" INDEXED BY "{index}"')

    def _between(self, low: int, high: int) -> Iterator[Row]:
        """Yield the rows of islands between two places that cannot be read."""
        step = max(1, (high - low + 1) // PROBES)
        place = low
        while place <= high:
            last = place - 1
            for key, row in self._run(place, high):
                last = key
                yield row
            if last >= place and step > 1:
                for _, row in self._run(low, place - 1, descending=True):
                    yield row
            if last >= place:
                low = last + 1
            place = max(last + 1, place) + step

    def _run(self, low: int, high: int | None, *, descending: bool = False) -> Iterator[tuple[int, Row]]:
        """Yield (rowid, columns) of rows in a range until one cannot be read."""
        order = "DESC" if descending else "ASC"
        until = 2**62 if high is None else high
        select = (
            f'SELECT rowid, {self._columns} FROM "{self._table}" NOT INDEXED '
            f"WHERE rowid BETWEEN ? AND ? ORDER BY rowid {order}"
        )
        for limit in ("", " LIMIT 1"):  # the driver drops the row before one that fails: ask for it alone
            try:
                for key, *row in self._connection.execute(select + limit, (low, until)):
                    low, until = (low, key - 1) if descending else (key + 1, until)
                    yield key, tuple(row)
            except driver().DatabaseError as error:
                require_damage(error)
                self.broken = True
            else:
                if not limit:
                    return

    def _top(self, low: int) -> int:
        """Return a rowid that none is beyond, as well as can be told."""
        found = self._scalar(f'SELECT max(rowid) FROM "{self._table}"')
        for (index,) in self._indexes():
            found = found or self._scalar(f'SELECT max(rowid) FROM "{self._table}" INDEXED BY "{index}"')
        return found or low + BEYOND

    def _indexes(self) -> list[tuple[str]]:
        return list(
            self._connection.execute(
                "SELECT name FROM sqlite_schema WHERE type = 'index' AND tbl_name = ? AND sql NOT LIKE "
                "'% WHERE %'",
                (self._table,),
            )
        )

    def _scalar(self, statement: str) -> int | None:
        try:
            row = self._connection.execute(statement).fetchone()
        except driver().DatabaseError as error:
            require_damage(error)
            return None
        return row[0] if row is not None else None


def keyed_rows(connection: Any, table: str, columns: list[str], key: list[str]) -> tuple[list[Row], bool]:
    """Return what can be read of a table without rowids from either end, and whether that is not all."""
    found: dict[Row, Row] = {}
    names = ", ".join(f'"{name}"' for name in columns)
    places = [columns.index(name) for name in key]
    broken = False
    for order in ("ASC", "DESC"):
        by = ", ".join(f'"{name}" {order}' for name in key)
        try:
            for row in connection.execute(f'SELECT {names} FROM "{table}" ORDER BY {by}'):
                found[tuple(row[place] for place in places)] = tuple(row)
        except driver().DatabaseError as error:
            require_damage(error)
            broken = True
        else:
            break
    return list(found.values()), broken


def readable(read: Callable[[], Any]) -> bool:
    """Whether something can be read; raises what is no damage."""
    try:
        read()
    except driver().DatabaseError as error:
        require_damage(error)
        return False
    return True


def require_damage(error: BaseException) -> None:
    """Raise an error again that says something else than that the file is damaged."""
    if primary_code(error) not in LOST_CODES:
        raise error
