"""Weekly rhythm of a population: how busy each hour of the week is, and arrival times drawn from it."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["DAY_S", "HOURS", "HOUR_S", "MONDAY_S", "Rhythm", "hour_of_day", "hour_of_week", "week"]

HOUR_S: Final = 3_600.0
DAY_S: Final = 24 * HOUR_S
HOURS: Final = 168
WEEK_S: Final = HOURS * HOUR_S
MONDAY_S: Final = 4 * DAY_S  # 1970-01-05, the first Monday of the epoch

Floats = NDArray[np.float64]


def hour_of_week(time_s: Floats) -> NDArray[np.int64]:
    """Return 0 (Monday, midnight to one, UTC) to 167 for epoch seconds, same shape."""
    hours: NDArray[np.int64] = ((time_s - MONDAY_S) // HOUR_S).astype(np.int64) % HOURS
    return hours


def hour_of_day(time_s: Floats) -> NDArray[np.int64]:
    """Return 0 to 23, UTC, for epoch seconds, same shape."""
    return hour_of_week(time_s) % 24


def week(peaks: list[tuple[float, float, float]], *, floor: float, weekend: float) -> Floats:
    """Return 168 hourly weights: daily bumps (hour, width in hours, height) over a floor, scaled at weekends.

    >>> working = week([(11.0, 3.0, 1.0)], floor=0.05, weekend=0.5)
    >>> bool(working[11] > 10 * working[3]), bool(working[5 * 24 + 11] == working[11] / 2)
    (True, True)
    """
    middle = np.arange(24) + 0.5
    day = np.full(24, floor)
    for hour, width, height in peaks:
        apart = np.abs(middle - hour)
        apart = np.minimum(apart, 24 - apart)
        day += height * np.exp(-0.5 * (apart / width) ** 2)
    return np.concatenate([np.tile(day, 5), np.tile(day * weekend, 2)])


class Rhythm:
    """A Poisson process whose rate repeats every week: `weights` [168] give its shape.

    `per_day` is how many events a day has on average.
    """

    def __init__(self, weights: Floats, per_day: float) -> None:
        expected = weights * (per_day * 7 / weights.sum())  # events in each hour of the week
        self._marks = np.concatenate([[0.0], np.cumsum(expected)])

    def arrivals(self, rng: np.random.Generator, after_s: float, count: int) -> Floats:
        """Draw the next `count` arrival times after `after_s`, epoch seconds, ascending, shape [count]."""
        into_week_s = (after_s - MONDAY_S) % WEEK_S
        start = np.interp(into_week_s, np.arange(HOURS + 1) * HOUR_S, self._marks)
        reached = start + np.cumsum(rng.exponential(size=count))
        weeks, rest = np.divmod(reached, self._marks[-1])
        into = np.interp(rest, self._marks, np.arange(HOURS + 1) * HOUR_S)
        times: Floats = (after_s - into_week_s) + weeks * WEEK_S + into
        return times
