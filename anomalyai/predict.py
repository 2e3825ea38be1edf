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
"""Anomalies of one trial that get reasons; explaining costs far more than scoring."""


class Prediction(msgspec.Struct, frozen=True):
    """What became of record `index` (from 0); `score` is -log10 of the tail probability `1 / one_in`."""

    index: int
    score: float
    one_in: float
    anomaly: bool
    verdict: Verdict
    reasons: tuple[Reason, ...]


class Trial:
    """Scores batches against a scorer as it stands, without a trace in it.

    Counts and entity habits move on from batch to batch as they would live, in a copy, so that how records
    are cut into batches changes nothing.
    """

    def __init__(self, scorer: Scorer) -> None:
        self._scorer = scorer
        self._watermark = copy.deepcopy(scorer.watermark)
        self._features = copy.deepcopy(scorer.features)
        self._seen = scorer.seen
        self._explained = 0

    def predict(self, batch: RecordBatch) -> list[Prediction]:
        """Score the next records; `index` counts from 0 within the batch."""
        values, counts = self._describe(batch)
        score, flagged = self._decide(values)
        places = np.flatnonzero(flagged)[: MAX_EXPLAINED - self._explained]
        self._explained += len(places)
        why = self._scorer.why(batch, values, counts, score, places)
        return [
            _prediction(i, float(score[i]), bool(flagged[i]), why[i].reasons if i in why else ())
            for i in range(batch.n)
        ]

    def score(self, batch: RecordBatch) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Score the next records without reasons; returns scores and which are anomalies, both [n]."""
        return self._decide(self._describe(batch)[0])

    def _describe(self, batch: RecordBatch) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        believed = self._watermark.observe(batch.time_s)
        return self._features.describe_with_counts(batch, believed.time_s)

    def _decide(self, values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        score = self._scorer.rescore(values)
        place = self._seen + np.arange(len(score))
        self._seen += len(score)
        return score, (score >= self._scorer.threshold) & (place >= FIRST_ALERT_AFTER)


def _prediction(index: int, score: float, anomaly: bool, reasons: tuple[Reason, ...]) -> Prediction:
    verdict: Verdict = "Anomaly detected" if anomaly else "Normal"
    return Prediction(index, score, one_in(score), anomaly, verdict, reasons)


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
