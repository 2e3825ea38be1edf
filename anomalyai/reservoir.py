"""A bounded sample of a feed's clean feature rows, to take scales from and to train models on."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

MAX_ROWS = 2_000
MAX_CELLS = 64_000
"""Bounds the state: 32-bit floats for at most this many cells, so wide feeds keep fewer rows."""


class Reservoir:
    """The most recent clean rows, thinned: every `stride`-th clean row replaces the oldest kept one.

    Codes of categories stand behind the columns and do not count. The stride grows with what was seen, so
    that the rows span the feed's recent half rather than its last minute.
    """

    def __init__(self, columns: int, codes: int = 0) -> None:
        self.capacity = max(min(MAX_ROWS, MAX_CELLS // max(columns, 1)), 256)
        self._rows: NDArray[np.float32] = np.empty((0, columns + codes), dtype=np.float32)
        self._next = 0
        self.offered = 0

    def add(self, rows: NDArray[np.float64]) -> None:
        """Offer clean rows, float64 [n, columns], in order."""
        stride = max(self.offered // (2 * self.capacity), 1)
        first = -self.offered % stride
        self.offered += len(rows)
        kept = rows[first::stride].astype(np.float32)
        room = self.capacity - len(self._rows)
        if room > 0:
            self._rows = np.concatenate([self._rows, kept[:room]])
            kept = kept[room:]
        for row in kept:
            self._rows[self._next] = row
            self._next = (self._next + 1) % self.capacity

    @property
    def rows(self) -> NDArray[np.float64]:
        """The kept rows, oldest first, float64 [at most capacity, columns]."""
        return np.concatenate([self._rows[self._next :], self._rows[: self._next]]).astype(np.float64)

    def __len__(self) -> int:
        return len(self._rows)

    def state(self) -> dict[str, Any]:
        """Return what `restore` needs."""
        return {"rows": self._rows, "next": self._next, "offered": self.offered}

    def restore(self, state: dict[str, Any]) -> None:
        """Take what `state` returned."""
        self._rows = with_codes(state["rows"], self._rows.shape[1])
        self._next, self.offered = int(state["next"]), int(state["offered"])


def with_codes(rows: NDArray[Any], columns: int) -> NDArray[Any]:
    """Return kept feature rows with as many columns: those of an older state have no codes behind them."""
    lacking = columns - rows.shape[1]
    return rows if not lacking else np.pad(rows, ((0, 0), (0, lacking)), constant_values=np.nan)
