"""Several half-space tree ensembles over one range of the features, heard together.

One ensemble of 25 trees depends heavily on its seed; the mean of the logarithms of several depends little.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomalyai.detectors.half_space_trees import HalfSpaceTrees

TREE_SETS = 3
TREES = 25
WINDOW = 1_000
WIDENING = 0.5
QUARTILE_WIDENING = 5.0

Range = tuple[NDArray[np.float64], NDArray[np.float64]]


class TreeGroup:
    """Ensembles of half-space trees on `n_features` coordinates, scaled to [0, 1] by a fixed range."""

    def __init__(self, n_features: int, seed: int) -> None:
        self.n_features = n_features
        self.seed = seed
        self.low: NDArray[np.float64] = np.zeros(n_features)
        self.span: NDArray[np.float64] = np.ones(n_features)
        self.sets = self._new_sets()

    def _new_sets(self) -> list[HalfSpaceTrees]:
        if self.n_features == 0:
            return []
        return [
            HalfSpaceTrees(self.n_features, n_trees=TREES, window_size=WINDOW, seed=self.seed + place)
            for place in range(TREE_SETS)
        ]

    @property
    def is_warm(self) -> bool:
        """Whether a full window was learnt."""
        return bool(self.sets) and self.sets[0].is_warm

    def _scaled(self, coordinates: NDArray[np.float64]) -> NDArray[np.float64]:
        scaled = np.clip((coordinates - self.low) / self.span, 0.0, 1.0)
        return np.ascontiguousarray(np.where(np.isnan(scaled), 0.0, scaled))

    def thinness(self, coordinates: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the mean over the ensembles of -ln(mass), float64 [n], for float64 [n, n_features]."""
        scaled = self._scaled(coordinates)
        total = np.zeros(len(coordinates))
        for trees in self.sets:
            total -= np.log(np.maximum(1.0 - trees.score_batch(scaled), 1e-7))
        return total / len(self.sets)

    def learn_batch(self, coordinates: NDArray[np.float64]) -> None:
        """Learn clean rows, float64 [n, n_features]."""
        scaled = self._scaled(coordinates)
        for trees in self.sets:
            trees.learn_batch(scaled)

    def fit_range(
        self,
        coordinates: NDArray[np.float64],
        numbers: int,
        low: NDArray[np.float64],
        span: NDArray[np.float64],
    ) -> None:
        """Take the range of the first `numbers` coordinates and start anew from rows; the rest is in 0..1."""
        self.low[:numbers], self.span[:numbers] = low, span
        self.sets = self._new_sets()
        self.learn_batch(coordinates)

    def state(self) -> dict[str, Any]:
        """Return what `restore` needs."""
        sets = {f"set{place}": trees.dumps() for place, trees in enumerate(self.sets)}
        return {"low": self.low, "span": self.span, **sets}

    def restore(self, state: dict[str, Any]) -> None:
        """Take a state of as many coordinates."""
        self.low, self.span = state["low"], state["span"]
        self.sets = [HalfSpaceTrees.loads(state[f"set{place}"]) for place in range(len(self.sets))]


def widened_range(rows: NDArray[np.float64]) -> Range:
    """Return (low, span) of the columns' minimum to maximum, widened by half of it on either side."""
    low, span = np.zeros(rows.shape[1]), np.ones(rows.shape[1])
    for j in range(rows.shape[1]):
        column = rows[np.isfinite(rows[:, j]), j]
        if len(column):
            low[j], span[j] = _widened(float(column.min()), float(column.max()), WIDENING)
    return low, span


def quartile_range(rows: NDArray[np.float64]) -> Range:
    """Return (low, span) of the quartiles widened by five interquartile ranges on either side.

    Columns whose quartiles are closer than a fiftieth of their range take the range itself.
    """
    low, span = widened_range(rows)
    for j in range(rows.shape[1]):
        column = rows[np.isfinite(rows[:, j]), j]
        if len(column):
            first, third = (float(q) for q in np.quantile(column, [0.25, 0.75]))
            if third - first > 0.02 * float(column.max() - column.min()):
                low[j], span[j] = _widened(first, third, QUARTILE_WIDENING)
    return low, span


def _widened(low: float, high: float, share: float) -> tuple[float, float]:
    reach = share * (high - low) if high > low else 0.5 * max(abs(high), 1.0)
    return low - reach, high - low + 2.0 * reach
