"""Precision-recall and ROC curves, by scikit-learn, thinned so that they can be kept and drawn."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

MAX_POINTS = 100

Floats = NDArray[np.float64]


class Curve(msgspec.Struct, frozen=True):
    """Points of a curve, x never falling.

    Of a precision-recall curve x is recall and y precision, of a ROC curve x is the share of false and y that
    of true positives. `threshold` is the score from which records count as anomalies at a point, None where
    none do.
    """

    x: tuple[float, ...]
    y: tuple[float, ...]
    threshold: tuple[float | None, ...]


def precision_recall(score: Floats, label: Floats, points: int = MAX_POINTS) -> Curve | None:
    """Return the precision-recall curve of scores by labels 0 or 1; None without an anomaly.

    Of the points of the full curve at most `points` are kept, spread over recall and over ranks, so that its
    beginning, which an alert budget looks at, keeps its shape.
    """
    if not np.any(label == 1.0):
        return None
    from sklearn.metrics import precision_recall_curve

    precision, recall, threshold = precision_recall_curve(label, score)
    # from the lowest threshold on, and at the end recall 0 and precision 1, which no threshold has
    precision, recall, threshold = precision[-2::-1], recall[-2::-1], threshold[::-1]
    ranks = np.log1p(np.arange(len(threshold)))
    kept = _spread(recall + ranks / max(float(ranks[-1]), 1.0), points)
    return _curve(recall[kept], precision[kept], threshold[kept])


def roc(score: Floats, label: Floats, points: int = MAX_POINTS) -> Curve | None:
    """Return the ROC curve of scores by labels 0 or 1; None where either kind is missing."""
    if not np.any(label == 1.0) or not np.any(label == 0.0):
        return None
    from sklearn.metrics import roc_curve

    false_positive, true_positive, threshold = roc_curve(label, score)
    kept = _spread(false_positive + true_positive, points)
    return _curve(false_positive[kept], true_positive[kept], threshold[kept])


def _spread(along: Floats, points: int) -> NDArray[np.int64]:
    """Return at most `points` places of a rising sequence, about equally far apart, both ends among them."""
    if len(along) <= points:
        return np.arange(len(along))
    wanted = np.linspace(along[0], along[-1], points)
    places = np.minimum(np.searchsorted(along, wanted), len(along) - 1)
    places[0], places[-1] = 0, len(along) - 1
    return np.unique(places)


def _curve(x: Floats, y: Floats, threshold: Floats) -> Curve:
    return Curve(
        tuple(x.tolist()),
        tuple(y.tolist()),
        tuple(value if np.isfinite(value) else None for value in threshold.tolist()),
    )
