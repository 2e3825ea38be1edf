"""Scores of records against a pipeline as it stands: nothing is learnt, nothing is kept."""

from __future__ import annotations

import copy
from typing import Literal

import msgspec
import numpy as np

from anomalyai.alert import Reason, one_in
from anomalyai.explanation import explain
from anomalyai.records import RecordBatch
from anomalyai.scorer import Scorer

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
    values = copy.deepcopy(scorer.features).describe(batch)
    score = scorer.rarity(values, scorer.ensemble.score_batch(values))
    flagged = score >= scorer.threshold
    explained = set(np.flatnonzero(flagged)[:MAX_EXPLAINED].tolist())
    clean = scorer.reservoir.rows if explained else np.empty((0, len(scorer.column_names)))
    predictions = []
    for i in range(batch.n):
        reasons: tuple[Reason, ...] = ()
        if i in explained:
            typical = scorer.ensemble.density.median
            columns = scorer.features.columns
            reasons = explain(
                values[i], columns, typical, clean, scorer.ensemble.score_batch, batch.record(i)
            ).reasons
        anomaly = bool(flagged[i])
        verdict: Verdict = "Anomaly detected" if anomaly else "Normal"
        rarity = float(score[i])
        predictions.append(Prediction(i, rarity, one_in(rarity), anomaly, verdict, reasons))
    return predictions
