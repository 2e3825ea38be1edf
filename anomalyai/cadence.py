"""How regularly something comes: the gaps between its events, and when a gap is too long to be one of them.

Of the logarithms of the gaps a decayed mean and variance are kept (gaps are positive and skewed), and the two
longest gaps of late. A gap is too long once a log-normal one would be as long only with a given small
probability, by a spread that is cautious while few gaps are known; and never while it is below four usual
gaps, or one and a half times what came twice in about a month: what happened twice, a nightly stop, is usual.
What comes more irregularly than at random, a Poisson process's gaps spread by 1.28, has no cadence to break.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from anomalyai.detectors.compilation import compiled

STATS = 7
"""Float32 statistics: mean and variance of log gaps, count, longest gap, second longest, known, state."""

MEAN, VARIANCE, COUNT, LONGEST, SECOND, KNOWN, STATE = range(STATS)
HEARD, SILENT, GIVEN_UP = 0.0, 1.0, 2.0

GAP_HALF_LIFE = 100.0
GAP_DECAY = 0.5 ** (1.0 / GAP_HALF_LIFE)
LEAST_GAPS = 20.0
PRIOR_SPREAD, PRIOR_GAPS = 1.0, 10.0
LEAST_SPREAD, MOST_SPREAD = 0.4, 1.5
CLIP_SPREADS = 3.0
LEAST_TIMES = 4.0
SECOND_TIMES = 1.5
LONG_HALF_LIFE_S = 30 * 86_400.0
FADE = math.log(2.0) / LONG_HALF_LIFE_S
LEAST_SILENCE_S = 10.0
MAX_SCORE = 15.0


class Silence(NamedTuple):
    """Something that is overdue: how long it has been silent, its usual gap, and -log10 of the tail."""

    elapsed_s: float
    usual_s: float
    score: float


@compiled
def learn_gap(stats: Any, slot: Any, gap_s: Any) -> None:
    """Learn a gap of more than 0 s; one that was raised as a silence counts among the longest only."""
    fade = 1.0 / (1.0 + FADE * gap_s)  # nearly a power of a half, for a fraction of its cost
    longest, second = stats[slot, LONGEST] * fade, stats[slot, SECOND] * fade
    if gap_s > longest:
        longest, second = gap_s, longest
    elif gap_s > second:
        second = gap_s
    stats[slot, LONGEST], stats[slot, SECOND] = np.float32(longest), np.float32(second)
    if stats[slot, STATE] != HEARD:
        return
    count = stats[slot, COUNT] * GAP_DECAY + 1.0
    error = np.log(gap_s) - stats[slot, MEAN]
    if stats[slot, COUNT] == 0.0:
        stats[slot, MEAN] = np.float32(error)
        error = 0.0
    if error * error > CLIP_SPREADS**2 * LEAST_SPREAD**2:
        limit = CLIP_SPREADS * spread_of(stats, slot)
        error = min(max(error, -limit), limit)
    stats[slot, MEAN] += np.float32(error / count)
    stats[slot, VARIANCE] += np.float32((error * error - stats[slot, VARIANCE]) / count)
    stats[slot, COUNT] = np.float32(count)


@compiled
def spread_of(stats: Any, slot: Any) -> Any:
    """Return the spread of log gaps, drawn towards that of random ones while few are known."""
    count = float(stats[slot, COUNT])
    variance = (count * stats[slot, VARIANCE] + PRIOR_GAPS * PRIOR_SPREAD**2) / (count + PRIOR_GAPS)
    return max(np.sqrt(variance), LEAST_SPREAD)


@compiled
def has_cadence(stats: Any, slot: Any) -> Any:
    """Return whether enough gaps are known, and are regular enough."""
    return stats[slot, COUNT] >= LEAST_GAPS and spread_of(stats, slot) <= MOST_SPREAD


@compiled
def longest_gap(stats: Any, slot: Any, spreads: Any) -> Any:
    """Return how long a gap may be in seconds; `spreads` is the normal quantile of the tail allowed."""
    usual_s = np.exp(float(stats[slot, MEAN]))
    by_spread_s = np.exp(min(stats[slot, MEAN] + spreads * spread_of(stats, slot), 60.0))
    return max(by_spread_s, LEAST_TIMES * usual_s, SECOND_TIMES * stats[slot, SECOND], LEAST_SILENCE_S)


@compiled
def rarity_of_gap(stats: Any, slot: Any, gap_s: Any) -> Any:
    """Return -log10 of the probability of a gap as long, at most `MAX_SCORE`."""
    spreads = (np.log(gap_s) - stats[slot, MEAN]) / spread_of(stats, slot)
    tail = 0.5 * math.erfc(spreads / math.sqrt(2.0))
    return min(-np.log10(max(tail, 1e-300)), MAX_SCORE)
