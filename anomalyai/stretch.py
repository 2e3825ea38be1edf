"""Records described together, ahead of their blocks.

What a record's features are, and where it falls on fixed scales, does not depend on what its block's end will
teach the detectors: counts and habits move on record by record. So a run of records is described in one go,
which costs a fraction of doing it block by block, and scored and learnt in blocks as ever.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from anomalyai.ensemble import Ensemble, Placed
from anomalyai.watermark import Believed

MAX_CELLS = 1 << 20
"""Rows times columns that are described ahead: 8 MB."""


class Described(NamedTuple):
    """What is known of the records of a block before they are scored."""

    values: NDArray[np.float64]
    counts: NDArray[np.float64]
    time_s: NDArray[np.float64]
    alive_s: NDArray[np.float64]
    placed: Placed


class Stretch:
    """Feature rows of a run of records, and where they fall for as long as the scales stay.

    `values` is float64 [n, columns], `counts` what they rest on (`FeatureBuilder.describe_with_counts`).
    """

    def __init__(self, values: NDArray[np.float64], counts: NDArray[np.float64], believed: Believed) -> None:
        self._values, self._counts, self._believed = values, counts, believed
        self._placed: Placed | None = None
        self._scales = 0
        self._first = 0

    def part(self, ensemble: Ensemble, a: int, b: int) -> Described:
        """Return records `a` to `b` (not included); parts are asked for in order."""
        if self._placed is None or self._scales != ensemble.scales:
            self._placed, self._first, self._scales = ensemble.place(self._values[a:]), a, ensemble.scales
        return Described(
            self._values[a:b],
            self._counts[a:b],
            self._believed.time_s[a:b],
            self._believed.alive_s[a:b],
            self._placed.part(a - self._first, b - self._first),
        )


def longest_stretch(columns: int) -> int:
    """Return how many rows of so many columns are described at once."""
    return max(1, MAX_CELLS // max(columns, 1))
