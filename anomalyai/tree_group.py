"""Several half-space tree ensembles over one range of the features, heard together.

One ensemble of 25 trees depends heavily on its seed; the mean of the logarithms of several depends little.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomalyai.detectors.compilation import compiled
from anomalyai.detectors.half_space_trees import HalfSpaceTrees
from anomalyai.detectors.half_space_trees_leaf import sum_scores

TREE_SETS = 3
TREES = 25
WINDOW = 1_000
WIDENING = 0.5
QUARTILE_WIDENING = 5.0
LEAST_MASS = 1e-7
RARITY_NATS = 8.0
"""Rarities are seen as shares of this, and larger ones as this."""

Range = tuple[NDArray[np.float64], NDArray[np.float64]]
RangeOf = Callable[[NDArray[np.float64]], Range]


class TreeGroup:
    """Ensembles of half-space trees on some columns of feature rows, scaled to [0, 1] by a fixed range.

    Where a row falls depends on the range and the trees alone: its leaves are sought once, uint16
    [TREE_SETS, TREES, n], to be scored at once and learnt later.

    Parameters
    ----------
    numbers, rarities
        Places of the columns: numbers, whose range `fit_range` takes, and rarities in nats.
    seed
        Fixes the trees.
    """

    def __init__(self, numbers: NDArray[np.int64], rarities: NDArray[np.int64], seed: int) -> None:
        self.numbers = numbers
        self.places = np.concatenate([numbers, rarities])
        self.seed = seed
        self.low: NDArray[np.float64] = np.zeros(len(self.places))
        self.span: NDArray[np.float64] = np.full(len(self.places), RARITY_NATS)
        self.sets = self._new_sets()

    def _new_sets(self) -> list[HalfSpaceTrees]:
        if not len(self.places):
            return []
        return [
            HalfSpaceTrees(len(self.places), n_trees=TREES, window_size=WINDOW, seed=self.seed + place)
            for place in range(TREE_SETS)
        ]

    @property
    def is_warm(self) -> bool:
        """Whether a full window was learnt."""
        return bool(self.sets) and self.sets[0].is_warm

    def leaves(self, values: NDArray[np.float64]) -> NDArray[np.uint16]:
        """Return where feature rows, float64 [n, columns], fall; a missing value counts as the lowest."""
        scaled = np.empty((len(values), len(self.places)))
        scale_rows(values, self.places, self.low, self.span, scaled)
        leaves = np.empty((TREE_SETS, TREES, len(values)), dtype=np.uint16)
        for place, trees in enumerate(self.sets):
            leaves[place] = trees.leaves(scaled)
        return leaves

    def thinness(self, leaves: NDArray[np.uint16]) -> NDArray[np.float64]:
        """Return the mean over the ensembles of -ln(mass), float64 [n]."""
        total = np.zeros(leaves.shape[2])
        if self.is_warm:
            tables = tuple(trees.table for trees in self.sets)
            sum_thinness(leaves, tables, self.sets[0].most, total)
        return total

    def learn_leaves(self, leaves: NDArray[np.uint16], rows: NDArray[np.int64] | None = None) -> None:
        """Learn clean rows by where they fell, all or those at `rows`."""
        for place, trees in enumerate(self.sets):
            trees.learn_leaves(leaves[place], rows)

    def fit_range(self, values: NDArray[np.float64], range_of: RangeOf) -> None:
        """Take the range of the numbers in feature rows, float64 [n, columns], and learn these rows anew."""
        numbers = len(self.numbers)
        self.low[:numbers], self.span[:numbers] = range_of(values[:, self.numbers])
        self.sets = self._new_sets()
        self.learn_leaves(self.leaves(values))

    def state(self) -> dict[str, Any]:
        """Return what `restore` needs."""
        sets = {f"set{place}": trees.dumps() for place, trees in enumerate(self.sets)}
        return {"low": self.low, "span": self.span, **sets}

    def restore(self, state: dict[str, Any]) -> None:
        """Take a state of as many columns."""
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


@compiled
def sum_thinness(leaves: Any, tables: Any, most: Any, total: Any) -> None:
    """Write the mean over the ensembles of -ln(mass) to `total` [n], which is 0 before.

    `tables` are the scores of each ensemble's leaves, which come to `most` at most over its trees; the mass
    is what a half-space tree's score lacks of 1.
    """
    scores = np.empty(len(total))
    for place in range(len(tables)):
        sum_scores(leaves[place], tables[place], len(tables[place]) // leaves.shape[1], most, scores)
        for i in range(len(total)):
            total[i] -= np.log(max(1.0 - scores[i], LEAST_MASS))
    for i in range(len(total)):
        total[i] /= len(tables)


@compiled
def scale_rows(values: Any, places: Any, low: Any, span: Any, out: Any) -> None:
    """Write the columns at `places`, from `low` to `low + span` scaled to 0..1, to `out` [n, places]."""
    for i in range(out.shape[0]):
        for j in range(len(places)):
            share = (values[i, places[j]] - low[j]) / span[j]
            out[i, j] = min(share, 1.0) if share > 0.0 else 0.0  # a missing one is not above
