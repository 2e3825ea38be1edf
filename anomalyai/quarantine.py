"""Flagged records, held back from learning until somebody judges them or they have become normal.

With each feature row go its entities' keys and its time, so that what verdicts say of the entities later can
be told of it too.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomalyai.reservoir import with_codes

__all__ = ["Quarantine"]

MAX_CELLS, MAX_ROWS = 4_096, 256
"""Bounds the state: 32-bit floats for at most this many cells, so wide feeds hold fewer rows."""


class Quarantine:
    """The latest flagged feature rows by sequence number; older ones give way and are counted."""

    def __init__(self, columns: int, entities: int = 0, codes: int = 0) -> None:
        self.capacity = max(min(MAX_ROWS, MAX_CELLS // max(columns, 1)), 16)
        self.seqs: NDArray[np.int64] = np.empty(0, dtype=np.int64)
        self.keys: NDArray[np.uint64] = np.empty((0, entities), dtype=np.uint64)
        self.time_s: NDArray[np.float64] = np.empty(0)
        self._rows: NDArray[np.float32] = np.empty((0, columns + codes), dtype=np.float32)
        self.dropped = 0

    def __len__(self) -> int:
        return len(self.seqs)

    @property
    def rows(self) -> NDArray[np.float64]:
        """The rows held back, oldest first, float64 [n, columns]."""
        return self._rows.astype(np.float64)

    def add(
        self,
        seqs: NDArray[np.int64],
        rows: NDArray[np.float64],
        keys: NDArray[np.uint64],
        time_s: NDArray[np.float64],
    ) -> None:
        """Hold rows back, float64 [n, columns], of entities, uint64 [n, entities]."""
        self.seqs = np.concatenate([self.seqs, seqs])
        self.keys, self.time_s = np.concatenate([self.keys, keys]), np.concatenate([self.time_s, time_s])
        self._rows = np.concatenate([self._rows, rows.astype(np.float32)])
        over = len(self.seqs) - self.capacity
        if over > 0:
            self.dropped += over
            self._keep(np.arange(over, len(self.seqs)))

    def take(self, places: NDArray[np.int64]) -> NDArray[np.float64]:
        """Let the rows at some places go and return them, float64 [n, columns]."""
        taken = self._rows[places].astype(np.float64)
        self._keep(np.setdiff1d(np.arange(len(self.seqs)), places))
        return taken

    def places_of(self, seq: int) -> NDArray[np.int64]:
        """Return the place of a record, none if it is not held back."""
        return np.flatnonzero(self.seqs == seq)

    def _keep(self, places: NDArray[np.int64]) -> None:
        self.seqs, self._rows = self.seqs[places], self._rows[places]
        self.keys, self.time_s = self.keys[places], self.time_s[places]

    def state(self) -> dict[str, Any]:
        """Return what `restore` needs."""
        return {
            "seqs": self.seqs,
            "rows": self._rows,
            "keys": self.keys,
            "time_s": self.time_s,
            "dropped": self.dropped,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take what `state` returned."""
        self.seqs, self.dropped = state["seqs"], int(state["dropped"])
        self._rows = with_codes(state["rows"], self._rows.shape[1])
        self.keys, self.time_s = state["keys"], state["time_s"]
