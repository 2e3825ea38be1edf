"""What was said last of the latest judged records, so that a verdict replaces the one before."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["MAX_OPINIONS", "Opinions"]

MAX_OPINIONS = 2_048
"""Judged records that are remembered; a verdict on one further back counts as if it were the first."""


class Opinions:
    """Signs by sequence number: +1 an anomaly, -1 none; the latest judged last.

    Examples
    --------
    >>> opinions = Opinions()
    >>> opinions.change(7, 1), opinions.change(7, -1), opinions.change(7, 0), opinions.change(7, 0)
    (0, 1, -1, 0)
    """

    def __init__(self) -> None:
        self._signs: dict[int, int] = {}

    def change(self, seq: int, sign: int) -> int:
        """Note what is said of a record now, 0 for nothing; returns what was said before."""
        before = self._signs.pop(seq, 0)
        if sign:
            self._signs[seq] = sign
            if len(self._signs) > MAX_OPINIONS:
                del self._signs[next(iter(self._signs))]
        return before

    def state(self) -> dict[str, Any]:
        """Return what `restore` needs."""
        seqs: NDArray[np.int64] = np.array(list(self._signs), dtype=np.int64)
        signs: NDArray[np.int8] = np.array(list(self._signs.values()), dtype=np.int8)
        return {"seqs": seqs, "signs": signs}

    def restore(self, state: dict[str, Any]) -> None:
        """Take what `state` returned."""
        self._signs = dict(zip(state["seqs"].tolist(), state["signs"].tolist(), strict=True))
