"""Judged records as a memory of patterns: like a confirmed anomaly, or like a false alarm.

Likeness is the share of half-space trees in which two records fall into the same leaf (the kernel of a random
partition, Breiman 2000; Davies & Ghahramani 2014), so it asks for no distance between numbers and words.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomalyai.detectors.compilation import compiled
from anomalyai.reservoir import with_codes
from anomalyai.tree_group import TreeGroup

__all__ = ["JudgedRows"]

MAX_CELLS, MAX_ROWS = 4_096, 128
"""Bounds the state: 32-bit floats for at most this many cells, so wide feeds remember fewer rows."""

LEAST_LIKENESS = 0.8
"""Records that share fewer leaves are not alike at all."""

VERDICT_NATS = 4.0
"""What one like verdict after another comes to, for or against."""


class JudgedRows:
    """The latest judged feature rows, +1 for a confirmed anomaly, -1 for a false alarm."""

    def __init__(self, columns: int, codes: int = 0) -> None:
        self.capacity = max(min(MAX_ROWS, MAX_CELLS // max(columns, 1)), 16)
        self._rows: NDArray[np.float32] = np.empty((0, columns + codes), dtype=np.float32)
        self._signs: NDArray[np.float64] = np.empty(0)
        self._seqs: NDArray[np.int64] = np.empty(0, dtype=np.int64)
        self._leaves: NDArray[np.uint16] | None = None

    def __len__(self) -> int:
        return len(self._signs)

    def add(self, seqs: Sequence[int], rows: NDArray[np.float64], sign: int) -> None:
        """Remember the rows of n records, float64 [n, columns], under one verdict."""
        self._seqs = np.append(self._seqs, np.array(seqs, dtype=np.int64))[-self.capacity :]
        self._rows = np.concatenate([self._rows, rows.astype(np.float32)])[-self.capacity :]
        self._signs = np.append(self._signs, np.full(len(rows), float(sign)))[-self.capacity :]
        self._leaves = None

    def turn(self, seq: int, sign: int) -> NDArray[np.float64]:
        """Turn the verdict on a record, 0 forgets it; returns its row, none where nothing is turned."""
        mine = (self._seqs == seq) & (self._signs != sign)
        rows: NDArray[np.float64] = self._rows[mine].astype(np.float64)
        if sign:
            self._signs[mine] = float(sign)
        else:
            self._seqs, self._rows, self._signs = self._seqs[~mine], self._rows[~mine], self._signs[~mine]
            self._leaves = None
        return rows

    def forget_leaves(self) -> None:
        """Seek the rows' leaves anew before the next use: the trees have changed."""
        self._leaves = None

    def hear(self, leaves: NDArray[np.uint16], group: TreeGroup) -> NDArray[np.float64]:
        """Return what the verdicts on like records say of n records, float64 [n] in nats.

        0 where there are none. `leaves` is where the records fall in the trees of `group`.
        """
        out = np.zeros(leaves.shape[2])
        if len(self._signs):
            if self._leaves is None:
                sought = group.leaves(self._rows.astype(np.float64))
                self._leaves = sought.reshape(-1, len(self._signs))
            weigh_likeness(leaves.reshape(-1, leaves.shape[2]), self._leaves, self._signs, out)
        return out

    def state(self) -> dict[str, Any]:
        """Return what `restore` needs."""
        return {"seqs": self._seqs, "rows": self._rows, "signs": self._signs}

    def restore(self, state: dict[str, Any]) -> None:
        """Take what `state` returned."""
        self._seqs, self._signs = state["seqs"], state["signs"]
        self._rows = with_codes(state["rows"], self._rows.shape[1])
        self._leaves = None


def likeness(first: NDArray[np.uint16], second: NDArray[np.uint16]) -> NDArray[np.float64]:
    """Return the share of leaves, uint16 [trees, n], that rows have in common with one [trees, 1]."""
    share: NDArray[np.float64] = (first == second).mean(axis=0)
    return share


@compiled
def weigh_likeness(leaves: Any, judged: Any, signs: Any, out: Any) -> None:
    """Write the verdicts on like rows, weighted by likeness and shrunk towards 0, to `out` [n]."""
    trees = leaves.shape[0]
    for i in range(len(out)):
        total = 0.0
        weight = 0.0
        for j in range(len(signs)):
            shared = 0
            for tree in range(trees):
                shared += leaves[tree, i] == judged[tree, j]
            like = (shared / trees - LEAST_LIKENESS) / (1.0 - LEAST_LIKENESS)
            if like > 0.0:
                total += signs[j] * like * like
                weight += like * like
        out[i] = VERDICT_NATS * total / (weight + 1.0)
