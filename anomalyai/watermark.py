"""How far a feed has come in its own event time, and which records' times are believed.

The mark is the lower median of the last `LATEST` believed times, and never falls but by a new beginning. Only
records that are near, or late within the bound, have a say in it, so a wrong clock, ahead or behind, moves
nothing while most records are right. Judged against the mark, never against a clock on the wall:

========= ================================ ===================================================================
near      up to `NEAR_S` ahead             on time
ahead     up to `AHEAD_S` ahead            on time, but has no say in the mark
future    beyond                           the time is not believed
late      up to `LATE_S` behind            believed and counted
too late  beyond                           the time is not believed
========= ================================ ===================================================================

In a slow feed the bounds ahead are at least `BEATS` of its usual steps. A feed that has jumped, over a night
or a month, is followed once `LEAP_RECORDS` more records came from ahead than from where the mark stands: a
burst of one broken producer, or a lasting share below a half, is not. Where nothing but records that are too
late came for long, the feed has begun again (a replayed file, or a leap that was wrong), and the mark falls
to them.

Beside the mark runs a stopwatch of the time in which the feed was alive: it moves with the mark, by at most
`PAUSE_BEATS` usual steps at a time, so that a night without any records is no silence of those who report.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from anomalyai.detectors.compilation import compiled

LATE_S = 3_600.0
NEAR_S = 3_600.0
AHEAD_S = 86_400.0
BEATS = 32.0
LATEST = 7
LEAP_RECORDS = 32
FALL_RECORDS = 1_000
"""Records too late, in excess of those on time, at which the mark falls; fewer where fewer had set it."""

PAUSE_BEATS = 8.0
BEAT_MEMORY = 64.0
"""Steps over which the usual one is averaged."""

ON_TIME, LATE, TOO_LATE, FUTURE = 0, 1, 2, 3

_NEAR, _AHEAD, _BEHIND = 0, 1, 2  # rows of the rings: the last believed times, those ahead, those too late
_MARK, _BEAT, _ALIVE, _KNOWN, _FAR, _OLD = range(6)


class Believed(NamedTuple):
    """What is believed of n records: event times, NaN where missing or not believed, and the stopwatch."""

    time_s: NDArray[np.float64]
    alive_s: NDArray[np.float64]


class Watermark:
    """The mark of one feed, and counts of what was late, too late and from the future.

    Where records have no time of their own (`judging` False) theirs is the time of arrival: it is believed.
    """

    def __init__(self, *, judging: bool = True) -> None:
        self._judging = judging
        self._rings: NDArray[np.float64] = np.full((3, LATEST), np.nan)
        self._figures: NDArray[np.float64] = np.zeros(6)
        self._figures[_MARK] = np.nan
        self._counts: NDArray[np.int64] = np.zeros(4, dtype=np.int64)

    @property
    def mark_s(self) -> float:
        """Epoch seconds that the feed has come to; NaN before its first time."""
        return float(self._figures[_MARK])

    def counts(self) -> dict[str, int]:
        """Return how many records were behind the mark, too far behind it, too far ahead, for a status.

        The times of the last two kinds were not learnt.
        """
        return {
            "late": int(self._counts[LATE]),
            "too_late": int(self._counts[TOO_LATE]),
            "future": int(self._counts[FUTURE]),
        }

    @property
    def believed_until_s(self) -> float:
        """The latest time that is believed; infinite before the first one."""
        mark_s = self.mark_s
        return np.inf if np.isnan(mark_s) else mark_s + max(AHEAD_S, BEATS * float(self._figures[_BEAT]))

    def observe(self, time_s: NDArray[np.float64]) -> Believed:
        """Judge n records by their times (NaN where missing), in order, and follow them."""
        believed = Believed(time_s.copy(), np.empty(len(time_s)))
        if self._judging:
            judge_rows(time_s, self._rings, self._figures, self._counts, believed.time_s, believed.alive_s)
        else:
            follow_rows(time_s, self._figures, believed.alive_s)
        return believed

    def state(self) -> dict[str, Any]:
        """Return what `restore` needs."""
        return {"rings": self._rings, "figures": self._figures, "counts": self._counts}

    def restore(self, state: dict[str, Any]) -> None:
        """Take what `state` returned."""
        self._rings, self._figures, self._counts = state["rings"], state["figures"], state["counts"]


@compiled
def judge_rows(time_s: Any, rings: Any, figures: Any, counts: Any, believed_s: Any, alive_s: Any) -> None:
    """Judge each record and follow it; `believed_s` begins as the times themselves."""
    for i in range(len(time_s)):
        if not np.isnan(time_s[i]):
            if figures[_KNOWN] < LATEST:
                verdict = begin(time_s[i], rings, figures)
            else:
                verdict = judge(time_s[i], rings, figures)
            counts[verdict] += 1
            if verdict >= TOO_LATE:
                believed_s[i] = np.nan
        alive_s[i] = figures[_ALIVE]


@compiled
def follow_rows(time_s: Any, figures: Any, alive_s: Any) -> None:
    """Follow records whose times are those of arrival."""
    for i in range(len(time_s)):
        if np.isnan(figures[_MARK]):
            figures[_MARK] = time_s[i]
        move(time_s[i], figures)
        alive_s[i] = figures[_ALIVE]


@compiled
def begin(time_s: Any, rings: Any, figures: Any) -> Any:
    """Take one of the first times, of which none is better than another."""
    known = int(figures[_KNOWN])
    rings[_NEAR, known] = time_s
    figures[_KNOWN] += 1.0
    settle(rings[_NEAR, : known + 1], figures)
    return ON_TIME


@compiled
def settle(times_s: Any, figures: Any) -> None:
    """Let the mark and the usual step be those of a few times."""
    ordered = np.sort(times_s)
    figures[_MARK] = ordered[(len(ordered) - 1) // 2]
    if len(ordered) == LATEST:
        figures[_BEAT] = (ordered[LATEST - 3] - ordered[2]) / (LATEST - 5)


@compiled
def judge(time_s: Any, rings: Any, figures: Any) -> Any:
    """Return what a record is, and let it have its say."""
    ahead_s = time_s - figures[_MARK]
    reach_s = BEATS * figures[_BEAT]
    if ahead_s > max(NEAR_S, reach_s):
        keep(rings, _AHEAD, time_s)
        figures[_FAR] += 1.0
        if figures[_FAR] >= LEAP_RECORDS:
            start_again(rings, _AHEAD, figures)
        return FUTURE if ahead_s > max(AHEAD_S, reach_s) else ON_TIME
    figures[_FAR] = max(figures[_FAR] - 1.0, 0.0)
    if ahead_s < -LATE_S:
        keep(rings, _BEHIND, time_s)
        figures[_OLD] += 1.0
        if figures[_OLD] >= max(min(FALL_RECORDS, 2.0 * figures[_KNOWN]), LEAP_RECORDS):
            start_again(rings, _BEHIND, figures)
        return TOO_LATE
    figures[_OLD] = max(figures[_OLD] - 1.0, 0.0)
    figures[_KNOWN] += 1.0
    keep(rings, _NEAR, time_s)
    move(middle(rings[_NEAR]), figures)
    return LATE if ahead_s < 0.0 else ON_TIME


@compiled
def move(mark_s: Any, figures: Any) -> None:
    """Move the mark on, and the stopwatch with it."""
    step_s = mark_s - figures[_MARK]
    if step_s > 0.0:
        figures[_MARK] = mark_s
        usual_s = min(step_s, PAUSE_BEATS * figures[_BEAT]) if figures[_BEAT] > 0.0 else step_s
        figures[_ALIVE] += usual_s
        figures[_BEAT] += (usual_s - figures[_BEAT]) / BEAT_MEMORY


@compiled
def keep(rings: Any, ring: Any, time_s: Any) -> None:
    """Put a time at the end of a ring, in place of its oldest."""
    for j in range(LATEST - 1):
        rings[ring, j] = rings[ring, j + 1]
    rings[ring, LATEST - 1] = time_s


@compiled
def middle(times_s: Any) -> Any:
    """Return the median of `LATEST` times: the one with as many below as above it."""
    for j in range(LATEST // 2, 2 * LATEST - LATEST // 2 - 1):  # from the middle, since most come in order
        at = j % LATEST
        below, level = 0, 0
        for other in range(LATEST):
            below += times_s[other] < times_s[at]
            level += times_s[other] == times_s[at]
        if below <= LATEST // 2 < below + level:
            return times_s[at]
    return times_s[at]


@compiled
def start_again(rings: Any, ring: Any, figures: Any) -> None:
    """Let the feed go on from the times of a ring."""
    rings[_NEAR] = rings[ring]
    settle(rings[_NEAR], figures)
    figures[_KNOWN] = float(LATEST)
    figures[_FAR] = 0.0
    figures[_OLD] = 0.0
