"""Points of the score line, thinned so that peaks survive: a bucket of neighbours becomes its highest.

Single-threaded: the hub calls it under its lock.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomalyai.alert import rfc3339

Point = tuple[int, float, float, bool]
"""seq, epoch seconds (NaN unknown), score, flagged."""

SCORE_DIGITS = 4


def thin(
    first_seq: int, time_s: NDArray[np.float64], score: NDArray[np.float64], flagged: NDArray[Any], most: int
) -> list[Point]:
    """Return at most `most` points of a run of records: each bucket of neighbours gives its highest score.

    Arrays are [n]; `score` is finite, `time_s` epoch seconds or NaN.

    Examples
    --------
    >>> scores = np.array([0.0, 5.0, 1.0, 2.0])
    >>> thin(10, np.zeros(4), scores, scores > 4, most=2)
    [(11, 0.0, 5.0, True), (13, 0.0, 2.0, False)]
    """
    n = len(score)
    chosen = np.arange(n)
    if n > most:
        width = math.ceil(n / most)
        padded = np.full(width * math.ceil(n / width), -np.inf)
        padded[:n] = score
        buckets = padded.reshape(-1, width)
        chosen = buckets.argmax(axis=1) + width * np.arange(len(buckets))
    columns = (first_seq + chosen, time_s[chosen], score[chosen], flagged[chosen])
    return list(zip(*(column.tolist() for column in columns), strict=True))


def wire(points: Iterable[Point]) -> list[tuple[int, str | None, float, bool]]:
    """Return points as messages hold them: `[seq, time, score, flagged]`, time in RFC 3339 or null.

    Examples
    --------
    >>> wire([(7, 0.5, 1.23456, False)])
    [(7, '1970-01-01T00:00:00.500Z', 1.2346, False)]
    """
    return [
        (seq, rfc3339(time_s), round(score, SCORE_DIGITS), flagged) for seq, time_s, score, flagged in points
    ]


def thin_points(points: list[Point], most: int) -> list[Point]:
    """Return at most `most` of the points, each bucket of neighbours its highest."""
    if len(points) <= most:
        return points
    width = math.ceil(len(points) / most)
    return [max(points[i : i + width], key=_score) for i in range(0, len(points), width)]


class PointRing:
    """The recent points of a feed, at most `TIERS * TIER_POINTS`.

    The newest are kept as they come; what falls out of a tier goes on to the next one as the highest of
    `FACTOR` neighbours, so that the line reaches far back and keeps its peaks.
    """

    TIERS = 5
    TIER_POINTS = 1000
    FACTOR = 8

    def __init__(self) -> None:
        self._tiers: list[deque[Point]] = [deque() for _ in range(self.TIERS)]

    def extend(self, points: Iterable[Point]) -> None:
        """Append points in order of seq."""
        self._tiers[0].extend(points)
        for tier, coarser in zip(self._tiers, self._tiers[1:], strict=False):
            while len(tier) > self.TIER_POINTS:
                coarser.append(max((tier.popleft() for _ in range(self.FACTOR)), key=_score))
        last = self._tiers[-1]
        while len(last) > self.TIER_POINTS:
            last.popleft()

    def points(self) -> list[Point]:
        """Return all points, oldest first."""
        return [point for tier in reversed(self._tiers) for point in tier]


def _score(point: Point) -> float:
    return point[2]
