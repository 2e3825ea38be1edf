"""One transaction being put together: rows for the same statement go to the database in one call.

A group commit carries the same few statements for many frames; run one by one, they would cost more than the
commit. Single-threaded: only the writer thread uses it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import sqlalchemy as sa

from stream import tables


class Transaction:
    """Statements with their rows, in the order in which each statement first came."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection
        self._rows: dict[sa.Insert, list[Mapping[str, Any]]] = {}
        self._entry: int | None = None

    def add(self, statement: sa.Insert, *rows: Mapping[str, Any]) -> None:
        """Run an insert or upsert with these rows by the end of the transaction, after earlier rows of it."""
        self._rows.setdefault(statement, []).extend(rows)

    def execute(self, statement: sa.Executable) -> None:
        """Run a statement now, after everything that was added before."""
        self.flush()
        self._connection.execute(statement)

    def next_entry(self) -> int:
        """Return the number of the next log entry."""
        if self._entry is None:
            self._entry = self._connection.execute(_LAST).scalar() or 0
        self._entry += 1
        return self._entry

    def flush(self) -> None:
        """Run what was added."""
        rows, self._rows = self._rows, {}
        for statement, values in rows.items():
            self._connection.execute(statement, values)


_LAST = sa.select(
    sa.func.max(
        sa.select(sa.func.coalesce(sa.func.max(tables.entry.c.entry), 0)).scalar_subquery(),
        # where a repair lost the end of the log, numbers that results were committed under stay used
        sa.select(sa.func.coalesce(sa.func.max(tables.position.c.entry), 0)).scalar_subquery(),
    )
)

Statements = Callable[[Transaction], None]
"""What belongs in a transaction besides a unit's own rows."""
