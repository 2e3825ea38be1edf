"""What a feed's columns usually hold, from a sample of clean rows, looked at column by column as needed."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Span", "Usual"]


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
    """Spans of the columns of clean rows, float64 [m, columns]; computed once each."""

    def __init__(self, clean: NDArray[np.float64]) -> None:
        self._clean = clean
        self._spans: dict[int, Span | None] = {}

    def span(self, column: int) -> Span | None:
        """Return a column's span; None where no clean row has a value."""
        if column not in self._spans:
            known = self._clean[:, column]
            known = known[np.isfinite(known)]
            quantiles = np.quantile(known, [0.05, 0.5, 0.95]) if len(known) else None
            self._spans[column] = None if quantiles is None else Span(*(float(q) for q in quantiles))
        return self._spans[column]

    def distance(self, column: int, value: float) -> float:
        """Return how far a value is from its column's middle, 0 where nothing is known."""
        span = self.span(column)
        return 0.0 if span is None or not np.isfinite(value) else span.distance(value)
