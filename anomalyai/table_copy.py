"""A table of entities as it was at one moment, copied in steps while its rows go on changing.

A table of a million entities takes longer to copy than scoring may stand still. So a copy is begun at once
and made slot by slot later; a row that is about to change before its turn is kept first, as in a database's
snapshot with before-images. Rows untouched since an earlier copy may be left out: what is then copied goes on
top of the earlier one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from anomalyai.detectors.compilation import compiled
from anomalyai.entity_table import WAYS, EntityTable, find_slot


class Rows(NamedTuple):
    """Used rows of a table, by ascending slot: slot numbers, keys, last ticks, last times, statistics."""

    rows: NDArray[np.int64]
    keys: NDArray[np.uint64]
    touched: NDArray[np.int64]
    last_s: NDArray[np.float64]
    stats: NDArray[np.float32]

    @classmethod
    def of(cls, columns: tuple[NDArray[Any], ...], slots: NDArray[np.int64]) -> Rows:
        """Return a copy of some slots of a table's columns."""
        return cls(slots, *(column[slots] for column in columns))

    @classmethod
    def merged(cls, older: Rows, newer: Rows) -> Rows:
        """Return the older rows with the newer ones on top."""
        kept = np.isin(older.rows, newer.rows, assume_unique=True, invert=True)
        columns: list[NDArray[Any]] = [column[kept] for column in older]
        return cls.sorted([cls(*columns), newer])

    @classmethod
    def sorted(cls, parts: Sequence[Rows]) -> Rows:
        """Return the rows of several parts, each slot in one of them, by ascending slot."""
        columns = [np.concatenate([part[place] for part in parts]) for place in range(len(cls._fields))]
        order = np.argsort(columns[0], kind="stable")
        return cls(*(column[order] for column in columns))

    def arrays(self) -> Mapping[str, NDArray[Any]]:
        """Return the columns by name, for `anomalyai.state`."""
        return self._asdict()


class TableCopy:
    """A copy under way, of the rows last touched from tick `since` to before tick `until`.

    `until` is the tick of the next record: what comes later touches its row with it or a later one. Where the
    table moves to larger columns, those that are copied stay as they are and nothing more has to be kept.
    """

    def __init__(self, table: EntityTable, since: int, until: int) -> None:
        self.since, self.until = since, until
        self._columns = table.columns
        self._taken = np.zeros(table.slots, dtype=np.bool_)
        self._next = 0
        self._parts: list[Rows] = []
        table.watch(self)

    @property
    def slots(self) -> int:
        """Slots of the table that is copied."""
        return len(self._taken)

    @property
    def done(self) -> bool:
        """Whether every slot had its turn."""
        return self._next == self.slots

    def before_change(self, table: EntityTable, keys: NDArray[np.uint64]) -> bool:
        """Keep the rows that these keys may be about to change; returns whether more will have to be."""
        if self.done or table.columns[0] is not self._columns[0]:
            return False
        found = np.empty(WAYS * len(keys), dtype=np.int64)
        n = rows_at_risk(
            self._columns[0], self._columns[1], self._taken, keys, self.since, self.until, self._next, found
        )
        if n:
            self._parts.append(Rows.of(self._columns, found[:n].copy()))
        return True

    def advance(self, slots: int) -> None:
        """Copy what is left to copy in the next slots."""
        span = slice(self._next, min(self.slots, self._next + slots))
        keys, touched = self._columns[0][span], self._columns[1][span]
        due = (keys != 0) & (touched >= self.since) & (touched < self.until) & ~self._taken[span]
        found = span.start + np.flatnonzero(due)
        if len(found):
            self._parts.append(Rows.of(self._columns, found))
        self._next = span.stop

    def rows(self) -> Rows:
        """Return the copied rows; the copy must be done."""
        nothing = Rows.of(self._columns, np.empty(0, dtype=np.int64))
        return Rows.sorted([nothing, *self._parts])


@compiled
def rows_at_risk(
    table_keys: Any, touched: Any, taken: Any, keys: Any, since: Any, until: Any, start: Any, out: Any
) -> Any:
    """List the slots from `start` on that `keys` may change and that are to be copied; returns how many.

    A known key changes its own slot, another one may take that of any key in its first bucket.
    """
    n = 0
    for i in range(keys.shape[0]):
        if keys[i] == np.uint64(0):
            continue
        first, state = find_slot(table_keys, touched, keys[i])
        stop = first + 1
        if state != 0:
            first = np.int64(keys[i] % np.uint64(table_keys.shape[0] // WAYS)) * WAYS
            stop = first + WAYS
        for slot in range(first, stop):
            due = table_keys[slot] != np.uint64(0) and since <= touched[slot] < until
            if due and slot >= start and not taken[slot]:
                taken[slot] = True
                out[n] = slot
                n += 1
    return n
