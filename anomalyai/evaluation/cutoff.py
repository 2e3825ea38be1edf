"""Where records are cut into flagged and not: by the alert budget alone, or by the threshold in use."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from anomalyai.evaluation.interval import Estimate, wilson

Floats = NDArray[np.float64]


class Confusion(msgspec.Struct, frozen=True):
    """Records by whether they were flagged and whether they are anomalies."""

    true_positives: int
    false_positives: int
    false_negatives: int
    true_negatives: int


class Cut(msgspec.Struct, frozen=True):
    """Precision and recall of the records that a budget lets through, with their intervals."""

    records: int
    precision: Estimate | None
    recall: Estimate | None


def at_budget(score: Floats, label: Floats, rate: float) -> Cut:
    """Return what the highest scores hold: as many records as the budget promises, at least one.

    `label` is 0 or 1. Of records that share the lowest score among them, it counts as many anomalies as are
    expected when they are taken in any order.
    """
    if not len(score):
        return Cut(0, None, None)
    records = min(max(round(rate * len(score)), 1), len(score))
    least = np.partition(score, len(score) - records)[len(score) - records]
    above, tied = score > least, score == least
    left = records - int(np.count_nonzero(above))
    hits = float(label[above].sum()) + left * float(label[tied].mean())
    return Cut(records, wilson(hits, records), wilson(hits, float(label.sum())))


def confusion(flagged: NDArray[np.bool_], label: Floats) -> Confusion:
    """Return how often flags and labels (0 or 1) agree."""
    anomaly = label == 1.0
    counts = [
        int(np.count_nonzero(flags & kind))
        for flags, kind in (
            (flagged, anomaly),
            (flagged, ~anomaly),
            (~flagged, anomaly),
            (~flagged, ~anomaly),
        )
    ]
    return Confusion(*counts)
