"""How fast an entity's events come: decayed counts at half-lives from a minute to a month, and bursts.

A count decayed with half-life h stands at rate * h / ln 2 once the entity is much older than h. Of a young
one it has not got there yet: the share it has reached is kept beside it, so that the first events of an
entity are no burst.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from anomalyai.detectors.compilation import compiled

HALF_LIVES_S = (60.0, 3_600.0, 86_400.0, 2_592_000.0)
"""A minute, an hour, a day, thirty days."""

STATS = 6
"""Float32 statistics of an entity: a count for each half-life, the shares reached of the two long ones."""

_DAY, _MONTH = 2, 3
PRIOR_EVENTS = 1.5
"""Events of the short count that an entity is allowed beyond its own pace: two in a row are no burst."""

MINUTE_RATE, HOUR_RATE, DAY_RATE, MONTH_RATE = (-1.0 / half_life_s for half_life_s in HALF_LIVES_S)


@compiled
def count_event(own: Any, gap_s: Any, out: Any, column: Any) -> None:
    """Count an event `gap_s` (0 or more) after the last one; write how bursty the last minute and hour were.

    `out[column]` is the logarithm of the minute's count over what the day's count implies, `out[column + 1]`
    that of the hour's over the month's.
    """
    day, month = 2.0 ** (gap_s * DAY_RATE), 2.0 ** (gap_s * MONTH_RATE)
    own[0] = np.float32(own[0] * 2.0 ** (gap_s * MINUTE_RATE) + 1.0)
    own[1] = np.float32(own[1] * 2.0 ** (gap_s * HOUR_RATE) + 1.0)
    own[2] = np.float32(own[2] * day + 1.0)
    own[3] = np.float32(own[3] * month + 1.0)
    own[4] = np.float32(1.0 - (1.0 - own[4]) * day)
    own[5] = np.float32(1.0 - (1.0 - own[5]) * month)
    out[column] = excess(own[0], own[2], own[4], HALF_LIVES_S[0] / HALF_LIVES_S[2])
    out[column + 1] = excess(own[1], own[3], own[5], HALF_LIVES_S[1] / HALF_LIVES_S[3])


@compiled
def age_days(own: Any) -> Any:
    """Return how many days the entity has been seen, at most a few hundred."""
    return -30.0 * np.log2(max(1.0 - own[5], 1e-4))


@compiled
def excess(short: Any, long: Any, reached: Any, ratio: Any) -> Any:
    """Return ln of a short count over what a long one implies, `ratio` their half-lives' one."""
    usual = long * ratio / max(reached, ratio)
    return np.log((short + PRIOR_EVENTS) / (usual + PRIOR_EVENTS))
