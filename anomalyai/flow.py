"""How many records a feed has a day of its own event time."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomalyai.budget import DAY_S

HALF_LIFE_S = 7 * DAY_S
MIN_SPAN_S = 60.0


class FlowRate:
    """Decayed records a day; NaN until a minute was seen.

    The place of a block of records in event time is the median of their times, so that single records with a
    wrong clock, ahead or behind, move nothing; between the middles of two blocks lies half of each.
    """

    def __init__(self) -> None:
        self.place_s = math.nan
        self._since = 0.0
        self._records = 0.0
        self._span_s = 0.0

    @property
    def records_per_day(self) -> float:
        """Records a day of event time."""
        return self._records / self._span_s * DAY_S if self._span_s >= MIN_SPAN_S else math.nan

    def learn(self, time_s: NDArray[np.float64]) -> None:
        """Count a block of records by their event times (NaN where unknown)."""
        known = time_s[np.isfinite(time_s)]
        if not len(known):
            self._since += len(time_s)
            return
        place_s, half = median(known), len(time_s) / 2
        if math.isnan(self.place_s):
            self.place_s, self._since = place_s, half
            return
        step_s = max(place_s - self.place_s, 0.0)
        decay = 0.5 ** (step_s / HALF_LIFE_S)
        self._records = self._records * decay + self._since + half
        self._span_s = self._span_s * decay + step_s
        self._since = half
        self.place_s = max(self.place_s, place_s)

    def leap(self) -> None:
        """Keep the rate, but go on at another place in event time."""
        self.place_s, self._since = math.nan, 0.0

    def state(self) -> dict[str, Any]:
        """Return what `restore` needs."""
        return {
            "place_s": self.place_s,
            "since": self._since,
            "records": self._records,
            "span_s": self._span_s,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take what `state` returned."""
        self.place_s, self._since = float(state["place_s"]), float(state["since"])
        self._records, self._span_s = float(state["records"]), float(state["span_s"])


def median(values: NDArray[np.float64]) -> float:
    """Return what NumPy's `median` does for one value or more, in a tenth of the time for a block.

    >>> median(np.array([5.0, 1.0, 2.0])), median(np.array([5.0, 1.0, 2.0, 4.0]))
    (2.0, 3.0)
    """
    half = len(values) // 2
    parted = np.partition(values, half if len(values) % 2 else (half - 1, half))
    return float(parted[half] if len(values) % 2 else (parted[half - 1] + parted[half]) / 2.0)
