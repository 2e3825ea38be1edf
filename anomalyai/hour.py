"""How unusual the hour of the day is: for a feed, and for an entity with hours of its own.

For every hour of the day (UTC) a decayed count of records and of the seconds watched, by event time. The
rarity is ln of the feed's usual rate over the hour's own, shrunk towards 0 while the hour was little watched:
an hour that comes for the first time says nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomalyai.detectors.compilation import compiled

HOURS = 24
HOUR_S, DAY_S = 3_600.0, 86_400.0
HALF_LIFE_S = 14 * DAY_S
PRIOR_RECORDS = 20.0
"""Records that an hour is taken to have had at the feed's usual rate."""

NEAR_S = DAY_S
"""A record farther from the latest one, ahead or behind, is not counted: its clock may be wrong."""

BELIEVED_AFTER = 3
"""So many records in a row that are that far ahead are believed: the feed had stood still."""

OWN_STATS = 3
OWN_PRIOR_S = DAY_S / 2.0
"""How long an entity is taken to have been active at any hour before it was seen."""

LEAST_WEIGHT_S = 1.0


class HourRate:
    """Counts and seconds of each hour of the day."""

    def __init__(self) -> None:
        self.counts: NDArray[np.float64] = np.zeros(HOURS)
        self.watched_s: NDArray[np.float64] = np.zeros(HOURS)
        self.latest: NDArray[np.float64] = np.array([np.nan, 0.0])  # its time, and records far ahead of it

    def observe(self, time_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the rarity of each record's hour in nats, float64 [n]; NaN where it has no time."""
        out = np.full(len(time_s), np.nan)
        observe_hours(time_s, self.counts, self.watched_s, self.latest, out)
        return out

    def state(self) -> dict[str, Any]:
        """Return what `restore` needs."""
        return {"counts": self.counts, "watched_s": self.watched_s, "latest": self.latest}

    def restore(self, state: dict[str, Any]) -> None:
        """Take what `state` returned."""
        self.counts, self.watched_s = state["counts"], state["watched_s"]
        self.latest = state["latest"]


@compiled
def observe_hours(time_s: Any, counts: Any, watched_s: Any, latest: Any, out: Any) -> None:
    """Compare each record's hour and count it."""
    for i in range(len(out)):
        if np.isnan(time_s[i]):
            continue
        hour = int(np.floor(time_s[i] / HOUR_S)) % HOURS
        out[i] = rarity_of(hour, counts, watched_s)
        if np.isnan(latest[0]):
            latest[0] = time_s[i]
        if is_near(time_s[i], latest):
            if time_s[i] > latest[0]:
                watch(latest[0], time_s[i], counts, watched_s)
                latest[0] = time_s[i]
            counts[hour] += 1.0


@compiled
def rarity_of(hour: Any, counts: Any, watched_s: Any) -> Any:
    """Return ln of the feed's usual rate over the hour's own, 0 before anything was watched."""
    watched = watched_s.sum()
    usual = counts.sum() / watched if watched > 0.0 else 0.0
    if usual <= 0.0:
        return 0.0
    return np.log(usual * (watched_s[hour] + PRIOR_RECORDS / usual) / (counts[hour] + PRIOR_RECORDS))


@compiled
def is_near(time_s: Any, latest: Any) -> Any:
    """Return whether a record is near the latest one; moves the latest where the feed has jumped ahead."""
    if abs(time_s - latest[0]) <= NEAR_S:
        latest[1] = 0.0
        return True
    if time_s > latest[0]:
        latest[1] += 1.0
        if latest[1] >= BELIEVED_AFTER:
            latest[0] = time_s
            latest[1] = 0.0
    return False


@compiled
def watch(start_s: Any, stop_s: Any, counts: Any, watched_s: Any) -> None:
    """Fade what was before; share the seconds between two records, a day at most, out to their hours."""
    decay = 2.0 ** ((start_s - stop_s) / HALF_LIFE_S)
    for hour in range(HOURS):
        counts[hour] *= decay
        watched_s[hour] *= decay
    first = int(np.floor(start_s / HOUR_S))
    last = int(np.floor(stop_s / HOUR_S))
    for hour in range(first, last + 1):
        watched_s[hour % HOURS] += min(stop_s, (hour + 1) * HOUR_S) - max(start_s, hour * HOUR_S)


def turns(time_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return cosines and sines of times of day, float64 [n, 2], a turn a day."""
    angle = 2.0 * np.pi * (time_s / DAY_S % 1.0)
    return np.column_stack([np.cos(angle), np.sin(angle)])


@compiled
def surprise_of_hour(
    stats: Any, slot: Any, at: Any, is_known: Any, pause_s: Any, cosine: Any, sine: Any
) -> Any:
    """Return how surprising the time of day is for an entity, in nats, 0 or more; then learn it.

    NaN where the entity is not known well enough (`is_known`), so on its first day. `cosine` and `sine` are
    of the time of day, a turn a day (`turns`).

    `stats[slot, at:at + OWN_STATS]` are the decayed sums of the cosines and sines of its times of day and of
    their weights: the time since the event before, an hour at most, so that a thousand events in a minute
    count for a minute. The sums' resultant says how concentrated its hours are; the surprise is that of a von
    Mises distribution of this concentration against its own mode (Mardia & Jupp 2000): an entity that is
    active round the clock is never surprising.
    """
    if np.isnan(pause_s):
        pause_s = LEAST_WEIGHT_S
    decay = np.exp(-np.log(2.0) / HALF_LIFE_S * pause_s)
    x, y, watched_s = stats[slot, at] * decay, stats[slot, at + 1] * decay, stats[slot, at + 2] * decay
    length = np.sqrt(x * x + y * y)
    surprise = np.nan
    if is_known and length > 0.0:
        resultant = min(length / (watched_s + OWN_PRIOR_S), 0.98)
        concentration = resultant * (2.0 - resultant**2) / (1.0 - resultant**2)  # Banerjee et al. 2005
        surprise = concentration * (1.0 - (x * cosine + y * sine) / length)
    weight_s = min(max(pause_s, LEAST_WEIGHT_S), HOUR_S)
    stats[slot, at] = np.float32(x + weight_s * cosine)
    stats[slot, at + 1] = np.float32(y + weight_s * sine)
    stats[slot, at + 2] = np.float32(watched_s + weight_s)
    return surprise
