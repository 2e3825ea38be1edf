"""How fast an entity's events come: decayed counts at half-lives from a minute to a month, and bursts.

A count decayed with half-life h stands at rate * h / ln 2 once the entity is much older than h. Of a young
one it has not got there yet: the share that the long counts have reached is kept beside them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from anomalyai.detectors.compilation import compiled

HALF_LIVES_S = (60.0, 3_600.0, 86_400.0, 2_592_000.0)
"""A minute, an hour, a day, thirty days."""

STATS = 6
"""Float32 statistics of an entity: a count for each half-life, the shares reached of the two long ones."""

PRIOR_EVENTS = 1.5
"""Events of the short count that an entity is allowed beyond its own pace: two in a row are no burst."""

OF_DAY_IN_AN_HOUR = 1.0 - 0.5 ** (HALF_LIVES_S[1] / HALF_LIVES_S[2])
OF_MONTH_IN_A_DAY = 1.0 - 0.5 ** (HALF_LIVES_S[2] / HALF_LIVES_S[3])

MINUTE_RATE, HOUR_RATE, DAY_RATE, MONTH_RATE = (-np.log(2.0) / half_life_s for half_life_s in HALF_LIVES_S)
"""Shares that a second takes off, as logarithms."""


@compiled
def count_event(stats: Any, slot: Any, gap_s: Any, columns: Any, row: Any, column: Any) -> None:
    """Count an event `gap_s` (0 or more) after the last one; write how bursty the last minute and hour were.

    `columns[row, column]` is the logarithm of the minute's count over what the day's count implies, the next
    column that of the hour's over the month's. They are left as they are (NaN) in the entity's first hour and
    first day: the short count is most of the long one then, and would tell nothing of a change.
    """
    day, month = np.exp(gap_s * DAY_RATE), np.exp(gap_s * MONTH_RATE)
    in_minute = stats[slot, 0] * np.exp(gap_s * MINUTE_RATE) + 1.0
    in_hour = stats[slot, 1] * np.exp(gap_s * HOUR_RATE) + 1.0
    in_day = stats[slot, 2] * day + 1.0
    in_month = stats[slot, 3] * month + 1.0
    of_day = 1.0 - (1.0 - stats[slot, 4]) * day
    of_month = 1.0 - (1.0 - stats[slot, 5]) * month
    stats[slot, 0] = np.float32(in_minute)
    stats[slot, 1] = np.float32(in_hour)
    stats[slot, 2] = np.float32(in_day)
    stats[slot, 3] = np.float32(in_month)
    stats[slot, 4] = np.float32(of_day)
    stats[slot, 5] = np.float32(of_month)
    if of_day > OF_DAY_IN_AN_HOUR:
        columns[row, column] = excess(in_minute, in_day, of_day, HALF_LIVES_S[0] / HALF_LIVES_S[2])
    if of_month > OF_MONTH_IN_A_DAY:
        columns[row, column + 1] = excess(in_hour, in_month, of_month, HALF_LIVES_S[1] / HALF_LIVES_S[3])


@compiled
def is_older_than_a_day(stats: Any, slot: Any) -> Any:
    """Return whether the entity has been seen for a day."""
    return stats[slot, 5] > OF_MONTH_IN_A_DAY


@compiled
def excess(short: Any, long: Any, reached: Any, ratio: Any) -> Any:
    """Return ln of a short count over what a long one implies, `ratio` their half-lives' one."""
    return np.log((short + PRIOR_EVENTS) / (long * ratio / reached + PRIOR_EVENTS))
