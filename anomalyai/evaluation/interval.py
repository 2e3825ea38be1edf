"""Intervals around figures: how far chance alone could have moved them.

Shares have Wilson's interval (E. B. Wilson, 1927). Average precision has none in closed form; its interval
is a percentile bootstrap over blocks of time (H. Kuensch, 1989), since records that follow one another are
alike and attacks come in bursts: records drawn one by one would promise too much.
"""

from __future__ import annotations

import math

import msgspec
import numpy as np
from numpy.typing import NDArray

Z_95 = 1.959963984540054
BLOCKS = 50
LEAST_BLOCKS = 5
"""Blocks with anomalies below which a bootstrap says nothing: it would draw the same few again and again."""

RESAMPLES = 200
CONFIDENCE = 0.95

Floats = NDArray[np.float64]


class Estimate(msgspec.Struct, frozen=True):
    """A figure with its 95 % interval, low <= value <= high; None where there is too little for one."""

    value: float
    low: float | None = None
    high: float | None = None


def wilson(hits: float, trials: float) -> Estimate | None:
    """Return the share of hits among trials with Wilson's interval; None without trials.

    >>> wilson(8, 10)
    Estimate(value=0.8, low=0.490..., high=0.943...)
    """
    if trials <= 0:
        return None
    share = hits / trials
    centre = share + Z_95**2 / (2 * trials)
    half = Z_95 * math.sqrt(share * (1 - share) / trials + Z_95**2 / (4 * trials**2))
    scale = 1 + Z_95**2 / trials
    return Estimate(
        share, min(max((centre - half) / scale, 0.0), share), max(min((centre + half) / scale, 1.0), share)
    )


def time_blocks(time_s: Floats, count: int) -> NDArray[np.int64]:
    """Return the block of each record, int64 [n], 0 to count - 1: of about equally many records.

    Records of the same time are in the same block, whatever order they came in. Where times are missing
    (NaN), the record's place stands for its time.
    """
    clock = (
        time_s
        if len(time_s) and bool(np.isfinite(time_s).all())
        else np.arange(len(time_s), dtype=np.float64)
    )
    if not len(clock):
        return np.empty(0, dtype=np.int64)
    first = np.searchsorted(np.sort(clock), clock, side="left")  # records before any of this time
    return (first * count // len(clock)).astype(np.int64)


def average_precision_interval(
    score: Floats, label: Floats, time_s: Floats, value: float, *, seed: int = 0
) -> Estimate:
    """Return an average precision with its interval by drawing blocks of time with replacement.

    `score`, `label` (0 or 1) and `time_s` are float64 [n]. The interval always holds the value. It is None
    where fewer than `LEAST_BLOCKS` of the blocks hold an anomaly.
    """
    block = time_blocks(time_s, BLOCKS)
    if len(np.unique(block[label == 1.0])) < LEAST_BLOCKS:
        return Estimate(value)
    order = np.argsort(-score, kind="stable")
    block, hit, sorted_score = block[order], label[order] == 1.0, score[order]
    last = np.flatnonzero(np.append(sorted_score[1:] != sorted_score[:-1], True))  # of each run of ties
    rng = np.random.default_rng(seed)
    used = np.unique(block)
    values = np.empty(RESAMPLES)
    for i in range(RESAMPLES):
        times = np.bincount(rng.choice(used, len(used)), minlength=BLOCKS)
        values[i] = _weighted_average_precision(times[block].astype(np.float64), hit, last)
    tail = (1.0 - CONFIDENCE) / 2.0
    low, high = np.quantile(values[np.isfinite(values)], [tail, 1.0 - tail])
    return Estimate(value, min(float(low), value), max(float(high), value))


def _weighted_average_precision(weight: Floats, hit: NDArray[np.bool_], last: NDArray[np.int64]) -> float:
    """Return the average precision of weighted records sorted by score; NaN without an anomaly among them."""
    seen = np.cumsum(weight)[last]
    found = np.cumsum(np.where(hit, weight, 0.0))[last]
    if not found[-1]:
        return math.nan
    gained = np.diff(found, prepend=0.0)
    some = gained > 0.0
    return float(np.sum(gained[some] * found[some] / seen[some]) / found[-1])
