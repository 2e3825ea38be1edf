"""Columns on one scale, by medians and quartiles, so that distances over several of them mean something.

Missing values take the median. A column that hardly moves has a floor under its spread: without one any
change of it would be infinitely far.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FARTHEST = 1e6
"""Standardised values end here, in spreads either way, infinities among them: squares of them stay exact."""

LARGEST = 1e150
"""Values beyond it count as this much, so that no difference of two overflows."""

QUARTILES_TO_SIGMA = 1.349  # interquartile range of a normal distribution of standard deviation 1
WIDENING = 0.5
SIGMA_FLOOR, MEDIAN_FLOOR = 0.1, 1e-3

Rows = NDArray[np.float64]


@dataclass(frozen=True)
class RobustScale:
    """Median and spread of every column, float64 [columns]; spreads are positive."""

    centre: Rows
    spread: Rows

    @property
    def width(self) -> int:
        """Number of columns."""
        return len(self.centre)

    @classmethod
    def fit(cls, rows: Rows) -> RobustScale:
        """Take the scale of rows [n, columns] from their finite values.

        The spread is the interquartile range over 1.349, or the standard deviation where the quartiles
        coincide; at least a tenth of the standard deviation and a thousandth of the median's size, and 1 for
        a column that is nothing but zeros.
        """
        centre, spread = np.zeros(rows.shape[1]), np.ones(rows.shape[1])
        for j, column in enumerate(rows.T):
            values = np.clip(column[np.isfinite(column)], -LARGEST, LARGEST)
            if len(values):
                low, middle, high = (float(q) for q in np.quantile(values, [0.25, 0.5, 0.75]))
                sigma = float(np.std(values))
                usual = (high - low) / QUARTILES_TO_SIGMA or sigma
                centre[j] = middle
                spread[j] = max(usual, SIGMA_FLOOR * sigma, MEDIAN_FLOOR * abs(middle)) or 1.0
        return cls(centre, spread)

    def apply(self, rows: Rows) -> Rows:
        """Return rows [n, columns] in spreads from the median: finite, 0 where a value is missing."""
        with np.errstate(over="ignore"):  # past the largest number comes infinity, and then the limit
            scaled = (np.clip(rows, -LARGEST, LARGEST) - self.centre) / self.spread
        scaled = np.clip(scaled, -FARTHEST, FARTHEST)
        return np.ascontiguousarray(np.where(np.isnan(scaled), 0.0, scaled))


@dataclass(frozen=True)
class AsIs:
    """The scale of columns that were made ready before: rows [n, width] stay as they are."""

    width: int

    def apply(self, rows: Rows) -> Rows:
        """Return the rows; what is missing or infinite, which prepared rows are not, becomes 0 or far."""
        return rows if np.isfinite(rows).all() else np.nan_to_num(rows, posinf=LARGEST, neginf=-LARGEST)


def widened_range(rows: Rows) -> tuple[Rows, Rows]:
    """Return (low, span) of the columns' finite values, widened by half their range on either side.

    A column that does not move is widened by half its size, at least half of 1; one without values is 0 to 1.
    """
    low, span = np.zeros(rows.shape[1]), np.ones(rows.shape[1])
    for j, column in enumerate(rows.T):
        values = np.clip(column[np.isfinite(column)], -LARGEST, LARGEST)
        if len(values):
            least, most = float(values.min()), float(values.max())
            reach = WIDENING * (most - least) or WIDENING * max(abs(most), 1.0)
            low[j], span[j] = least - reach, most - least + 2.0 * reach
    return low, span
