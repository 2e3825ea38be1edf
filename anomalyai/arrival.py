"""Whether a whole feed has fallen silent, by the times at which its log entries arrived.

Arrivals a second or less apart count as one. While a feed is silent nothing comes that could tell the time,
so a logged `ClockTick` does: `allowed_s` says after how long one is worth while, and after it there is none
until the feed has come back.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from anomalyai import cadence
from anomalyai.cadence import HEARD, SILENT, STATE, STATS, Silence
from anomalyai.detectors.compilation import compiled

LEAST_GAP_S = 1.0
LEAST_SILENCE_S = 30.0
KNOWN_AFTER_S = 600.0
"""A feed that has been coming for less, such as a file sent in one go, has no cadence."""

_ENTRY, _FIRST, _LAST, _LEARNT = range(4)


class Origins(NamedTuple):
    """Which log entries a batch's records came in, and when: entries [k], their last seqs and arrivals."""

    entries: NDArray[np.int64]
    last_seqs: NDArray[np.int64]
    arrivals_s: NDArray[np.float64]

    @classmethod
    def one(cls, entry: int, last_seq: int, arrival_s: float) -> Origins:
        """Return the origin of a batch that is one entry, or a part of it."""
        return cls(np.array([entry]), np.array([last_seq]), np.array([arrival_s]))

    def of(self, seq: int) -> tuple[int, float]:
        """Return the entry of a record and when it arrived."""
        place = int(np.searchsorted(self.last_seqs, seq))
        return int(self.entries[place]), float(self.arrivals_s[place])

    def upto(self, seq: int) -> Origins:
        """Return the entries that hold records up to one."""
        stop = int(np.searchsorted(self.last_seqs, seq)) + 1
        return Origins(self.entries[:stop], self.last_seqs[:stop], self.arrivals_s[:stop])


class ArrivalCadence:
    """The cadence of one feed's arrivals."""

    def __init__(self) -> None:
        self._stats: NDArray[np.float32] = np.zeros((1, STATS), dtype=np.float32)
        self._figures: NDArray[np.float64] = np.array([0.0, np.nan, np.nan, np.nan])

    @property
    def last_s(self) -> float:
        """When the last entry arrived, NaN before the first."""
        return float(self._figures[_LAST])

    def observe(self, origins: Origins) -> tuple[float, float] | None:
        """Follow arrivals, old ones left out; returns when a silence ended and its length, if one did."""
        before_s = self.last_s
        place = int(follow_arrivals(origins.entries, origins.arrivals_s, self._figures, self._stats))
        if place < 0:
            return None
        return float(origins.arrivals_s[place]), float(origins.arrivals_s[place]) - before_s

    def allowed_s(self, spreads: float) -> float:
        """Return how long the feed may be silent; infinite without a cadence and while it is silent.

        `spreads` is the normal quantile of the tail allowed.
        """
        heard_s = self._figures[_LAST] - self._figures[_FIRST]
        if self._stats[0, STATE] != HEARD or not heard_s >= KNOWN_AFTER_S:
            return math.inf
        if not cadence.has_cadence(self._stats, 0):
            return math.inf
        return max(float(cadence.longest_gap(self._stats, 0, spreads)), LEAST_SILENCE_S)

    def tick(self, time_s: float, spreads: float) -> Silence | None:
        """Return the silence that has begun by `time_s`, once."""
        elapsed_s = time_s - self.last_s
        if not elapsed_s >= self.allowed_s(spreads):
            return None
        self._stats[0, STATE] = SILENT
        usual_s = math.exp(float(self._stats[0, cadence.MEAN]))
        return Silence(elapsed_s, usual_s, float(cadence.rarity_of_gap(self._stats, 0, elapsed_s)))

    def state(self) -> dict[str, Any]:
        """Return what `restore` needs."""
        return {"stats": self._stats, "figures": self._figures}

    def restore(self, state: dict[str, Any]) -> None:
        """Take what `state` returned."""
        self._stats, self._figures = state["stats"], state["figures"]


@compiled
def follow_arrivals(entries: Any, arrivals_s: Any, figures: Any, stats: Any) -> Any:
    """Learn the gaps before entries that are new; returns the place of one that ended a silence, or -1."""
    ended = -1
    for i in range(len(entries)):
        if entries[i] <= figures[_ENTRY] or np.isnan(arrivals_s[i]):
            continue
        figures[_ENTRY] = entries[i]
        if np.isnan(figures[_FIRST]):
            figures[_FIRST] = figures[_LEARNT] = arrivals_s[i]
        gap_s = arrivals_s[i] - figures[_LEARNT]
        if gap_s >= LEAST_GAP_S:
            cadence.learn_gap(stats, 0, gap_s)
            figures[_LEARNT] = arrivals_s[i]
        if stats[0, STATE] != HEARD:
            stats[0, STATE] = np.float32(HEARD)
            ended = i
        figures[_LAST] = arrivals_s[i]
    return ended
