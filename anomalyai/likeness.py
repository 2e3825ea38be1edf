"""How alike two voices are: their correlation over all that both have said, block by block."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["VoiceLikeness"]


class VoiceLikeness:
    """Running Pearson correlation of two voices; records of which either said nothing (NaN) are left out.

    Examples
    --------
    >>> likeness = VoiceLikeness()
    >>> likeness.learn(np.array([1.0, 2.0, 3.0]), np.array([2.0, 4.0, 6.0]))
    >>> likeness.correlation
    1.0
    """

    def __init__(self) -> None:
        self.seen = 0
        self._mean: NDArray[np.float64] = np.zeros(2)
        self._sums: NDArray[np.float64] = np.zeros((2, 2))  # of products of deviations

    def learn(self, first: NDArray[np.float64], second: NDArray[np.float64]) -> None:
        """Add what both said of n records, float64 [n] each (Chan, Golub & LeVeque, 1979)."""
        both = np.stack([first, second])
        both = both[:, np.isfinite(both).all(axis=0)]
        n = both.shape[1]
        if not n:
            return
        mean = both.mean(axis=1)
        apart, total = mean - self._mean, self.seen + n
        centred = both - mean[:, None]
        self._sums = self._sums + centred @ centred.T + np.outer(apart, apart) * (self.seen * n / total)
        self._mean = self._mean + apart * (n / total)
        self.seen = total

    @property
    def correlation(self) -> float | None:
        """The correlation, -1 to 1; None where either has said the same of all, or nothing."""
        spreads = float(self._sums[0, 0]), float(self._sums[1, 1])
        least = 1e-12 * self.seen * (1.0 + float(np.abs(self._mean).max()) ** 2)
        if min(spreads) <= least:
            return None
        found = float(self._sums[0, 1]) / math.sqrt(spreads[0] * spreads[1])
        return min(max(round(found, 12), -1.0), 1.0)

    def state(self) -> dict[str, Any]:
        """Return what `restore` needs."""
        return {"seen": self.seen, "mean": self._mean, "sums": self._sums}

    def restore(self, state: dict[str, Any]) -> None:
        """Take what `state` returned."""
        self.seen, self._mean, self._sums = int(state["seen"]), state["mean"], state["sums"]
