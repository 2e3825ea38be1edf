"""Figures on a scored stream: how good the ranking is, and whether the alert budget was kept.

Labels are used here and nowhere else. Every figure is undefined (None) rather than invented where the
labels do not allow it.
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray


class Figures(msgspec.Struct, frozen=True):
    """What a back-test prints. Rates are shares of records in 0..1, None where undefined."""

    events: int
    warmup: int
    average_precision: float | None
    roc_auc: float | None
    precision_at_budget: float | None
    recall_at_budget: float | None
    alerts: int
    promised_rate: float
    realised_rate: float | None
    events_per_second: float | None


def default_warmup(events: int) -> int:
    """Return the records before the figures start: 20 %, at most 5,000."""
    return min(events // 5, 5000)


def measure(
    score: NDArray[np.float64],
    flagged: NDArray[np.bool_],
    label: NDArray[np.float64],
    *,
    warmup: int,
    promised_rate: float,
    elapsed_s: float | None = None,
) -> Figures:
    """Measure a stream scored in event order.

    Parameters
    ----------
    score, flagged, label
        One value a record; `score` is higher for rarer, NaN where the record was rejected; `label` is 1 for
        an anomaly, 0 for normal, NaN where unknown.
    warmup
        Records at the start that the figures leave out.
    promised_rate
        The alert budget as a share of records.
    elapsed_s
        Seconds the scoring of all records took.
    """
    after = slice(warmup, None)
    scored = np.isfinite(score[after])
    alerts = int(np.count_nonzero(flagged[after][scored]))
    counted = int(np.count_nonzero(scored))
    known = scored & np.isfinite(label[after])
    average_precision, roc_auc = ranking(score[after][known], label[after][known])
    precision, recall = _at_flags(flagged[after][known], label[after][known])
    return Figures(
        events=len(score),
        warmup=warmup,
        average_precision=average_precision,
        roc_auc=roc_auc,
        precision_at_budget=precision,
        recall_at_budget=recall,
        alerts=alerts,
        promised_rate=promised_rate,
        realised_rate=alerts / counted if counted else None,
        events_per_second=len(score) / elapsed_s if elapsed_s else None,
    )


def ranking(score: NDArray[np.float64], label: NDArray[np.float64]) -> tuple[float | None, float | None]:
    """Return average precision and the area under the ROC curve (scikit-learn's definitions)."""
    positives = int(np.count_nonzero(label))
    if positives == 0:
        return None, None
    from sklearn.metrics import average_precision_score, roc_auc_score

    average_precision = float(average_precision_score(label, score))
    roc_auc = None if positives == len(label) else float(roc_auc_score(label, score))
    return average_precision, roc_auc


def _at_flags(flagged: NDArray[np.bool_], label: NDArray[np.float64]) -> tuple[float | None, float | None]:
    """Return precision and recall of the flags."""
    hits = float(np.count_nonzero(flagged & (label == 1.0)))
    flags = float(np.count_nonzero(flagged))
    positives = float(np.count_nonzero(label))
    precision = hits / flags if flags else None
    recall = hits / positives if positives else None
    return precision, recall
