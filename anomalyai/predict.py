"""Scores of records against a pipeline as it stands: nothing is learnt, nothing is kept."""

from __future__ import annotations

import copy
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from anomalyai.alert import Reason, one_in
from anomalyai.explanation import Explanation
from anomalyai.records import RecordBatch
from anomalyai.scorer import FIRST_ALERT_AFTER, Scorer

Verdict = Literal["Anomaly detected", "Normal"]

MAX_EXPLAINED = 1_000
"""Anomalies of one call that get reasons; explaining costs far more than scoring."""


class Prediction(msgspec.Struct, frozen=True):
    """What became of record `index` (from 0); `score` is -log10 of the tail probability `1 / one_in`."""

    index: int
    score: float
    one_in: float
    anomaly: bool
    verdict: Verdict
    reasons: tuple[Reason, ...]


def predict(scorer: Scorer, batch: RecordBatch) -> list[Prediction]:
    """Score a batch without a trace.

    Counts and entity habits move on within the batch as they would live, in a copy that is thrown away.
    """
    values, counts = _describe(scorer, batch)
    score = scorer.rescore(values)
    flagged = (score >= scorer.threshold) & (scorer.seen + np.arange(batch.n) >= FIRST_ALERT_AFTER)
    why = scorer.why(batch, values, counts, score, np.flatnonzero(flagged)[:MAX_EXPLAINED])
    predictions = []
    for i in range(batch.n):
        anomaly, rarity = bool(flagged[i]), float(score[i])
        reasons = why[i].reasons if i in why else ()
        verdict: Verdict = "Anomaly detected" if anomaly else "Normal"
        predictions.append(Prediction(i, rarity, one_in(rarity), anomaly, verdict, reasons))
    return predictions


def explain(scorer: Scorer, batch: RecordBatch, index: int) -> Explanation:
    """Explain one record of a batch without a trace, flagged or not.

    Raises
    ------
    IndexError
        The batch has no such record.
    """
    if not 0 <= index < batch.n:
        raise IndexError(f"expected the index of one of {batch.n} records, got {index}")
    values, counts = _describe(scorer, batch.slice(0, index + 1))
    score = scorer.rescore(values[index:])
    [found] = scorer.explainer().explain(
        values[index:],
        counts[index:],
        [batch.record(index)],
        scorer.rescore,
        scores=score,
        threshold=scorer.threshold,
        flagged=[float(score[0]) >= scorer.threshold and scorer.seen + index >= FIRST_ALERT_AFTER],
    )
    return found


def _describe(scorer: Scorer, batch: RecordBatch) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return feature rows and counts as `describe_with_counts` does, without a trace."""
    believed = copy.deepcopy(scorer.watermark).observe(batch.time_s)
    return copy.deepcopy(scorer.features).describe_with_counts(batch, believed.time_s)
