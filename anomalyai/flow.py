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
    """Decayed records a day, by the watermark (the latest event time so far); NaN until a minute was seen."""

    def __init__(self) -> None:
        self.watermark_s = math.nan
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
            return
        latest = float(known.max())
        if math.isnan(self.watermark_s):
            self.watermark_s = float(known.min())
        step_s = max(latest - self.watermark_s, 0.0)
        decay = 0.5 ** (step_s / HALF_LIFE_S)
        self._records = self._records * decay + len(time_s)
        self._span_s = self._span_s * decay + step_s
        self.watermark_s = max(self.watermark_s, latest)

    def state(self) -> dict[str, Any]:
        """Return what `restore` needs."""
        return {"watermark_s": self.watermark_s, "records": self._records, "span_s": self._span_s}

    def restore(self, state: dict[str, Any]) -> None:
        """Take what `state` returned."""
        self.watermark_s = float(state["watermark_s"])
        self._records, self._span_s = float(state["records"]), float(state["span_s"])
