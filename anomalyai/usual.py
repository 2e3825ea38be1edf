"""What a feed's columns usually hold, from a sample of clean rows."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Span", "Usual"]

MOST_ROWS = 512
"""Rows that quantiles for a text are taken from; of more, evenly spread ones."""

QUANTILES = np.array([0.05, 0.5, 0.95])


class Span(NamedTuple):
    """Where nine in ten of a column's clean values lie, and their median."""

    low: float
    middle: float
    high: float

    def distance(self, value: float) -> float:
        """Return how far a value is from the middle: 1 at the edge on its side, more beyond.

        >>> Span(0.0, 1.0, 3.0).distance(5.0), Span(0.0, 1.0, 3.0).distance(0.5)
        (2.0, 0.5)
        """
        edge = self.high - self.middle if value > self.middle else self.middle - self.low
        away = abs(value - self.middle)
        if edge <= 0.0:
            return 0.0 if away == 0.0 else np.inf
        return away / edge


class Usual:
    """Spans of the columns of clean rows, float64 [m, columns].

    The quantiles interpolate linearly, as NumPy's do by default. All columns are sorted at once, as the
    32-bit floats that a reservoir keeps: a call of `numpy.quantile` for each column, or sorting twice as many
    bytes, costs more than all the rest of an explanation.
    """

    def __init__(self, clean: NDArray[np.float64]) -> None:
        thinned = clean[:: max(len(clean) // MOST_ROWS, 1)]
        finite = np.where(np.isfinite(thinned), thinned, np.nan).astype(np.float32)
        columns = np.sort(np.ascontiguousarray(finite.T), axis=1)  # NaN comes last
        known = np.count_nonzero(~np.isnan(columns), axis=1)
        self._known = known > 0
        if columns.size:
            at = QUANTILES[:, None] * np.maximum(known - 1, 0)
            below = at.astype(np.int64)
            above = np.minimum(below + 1, np.maximum(known - 1, 0))
            every = np.arange(len(columns))
            low, high = (columns[every, place].astype(np.float64) for place in (below, above))
            self._quantiles = low + (at - below) * (high - low)

    def span(self, column: int) -> Span | None:
        """Return a column's span; None where no clean row has a value."""
        if not self._known[column]:
            return None
        low, middle, high = self._quantiles[:, column].tolist()
        return Span(low, middle, high)

    def distance(self, column: int, value: float) -> float:
        """Return how far a value is from its column's middle, 0 where nothing is known."""
        span = self.span(column)
        return 0.0 if span is None or not np.isfinite(value) else span.distance(value)
