"""How scores are spread: anomalies, others, and records without a label."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

BINS = 40
FARTHEST = 10.0
"""The last bin begins at most this many times as far above the median as the 99th percentile is."""

Floats = NDArray[np.float64]


class Histogram(msgspec.Struct, frozen=True):
    """Counts by score. `edges` are one more than the counts; the last bin also holds what lies above it."""

    edges: tuple[float, ...]
    anomalies: tuple[int, ...]
    others: tuple[int, ...]
    unlabelled: tuple[int, ...]


def histogram(score: Floats, label: Floats) -> Histogram:
    """Count finite scores in bins of equal width by label (1, 0 or NaN). Empty without a score."""
    if not len(score):
        return Histogram((), (), (), ())
    low, median, high, most = (float(q) for q in np.quantile(score, [0.0, 0.5, 0.99, 1.0]))
    top = min(most, median + FARTHEST * max(high - median, 0.0)) if high > median else most
    if top <= low:
        top = low + max(abs(low), 1.0)
    edges = np.linspace(low, top, BINS + 1)
    place = np.clip(np.searchsorted(edges, score, side="right") - 1, 0, BINS - 1)
    counts = [
        tuple(np.bincount(place[kind], minlength=BINS).tolist())
        for kind in (label == 1.0, label == 0.0, np.isnan(label))
    ]
    return Histogram(tuple(edges.tolist()), *counts)
