"""What labels say of scorers. Without labels there is no accuracy, and none is made up."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import numpy as np
from numpy.typing import NDArray

from anomalyai.evaluation.curve import Curve, precision_recall, roc
from anomalyai.evaluation.cutoff import Confusion, Cut, at_budget, confusion
from anomalyai.evaluation.episode import Delay, delay
from anomalyai.evaluation.figures import ranking
from anomalyai.evaluation.interval import Estimate, average_precision_interval, wilson
from anomalyai.evaluation.split import Entities

Floats = NDArray[np.float64]


class LabelClock(msgspec.Struct, frozen=True):
    """One source of labels, which has a clock of its own: verdicts come fast, ground truth comes late.

    `label` is float64 [n], 1 for an anomaly, 0 for an ordinary record, NaN where there is none. `known_s` is
    float64 [n], when each became known in epoch seconds, NaN or None where that is not known.
    """

    label: Floats
    known_s: Floats | None = None

    def part(self, rows: NDArray[np.int64]) -> LabelClock:
        """Return the labels of some records."""
        return LabelClock(self.label[rows], None if self.known_s is None else self.known_s[rows])


class ScorerFigures(msgspec.Struct, frozen=True):
    """One scorer under one label clock. The curves are thinned, the figures are of all records."""

    name: str
    average_precision: Estimate | None
    roc_auc: float | None
    at_budget: Cut
    precision_recall: Curve | None
    roc: Curve | None


class Accuracy(msgspec.Struct, frozen=True, kw_only=True):
    """What one label clock says, over the records that it covers.

    `anomaly_share` is what a scorer that knows nothing has as average precision. `known_after_s` is the
    median time from a record to its label, None where unknown. `precision`, `recall` and `confusion` are at
    the threshold that was used. `scorers` begins with the one evaluated.
    """

    labelled: int
    labelled_share: float
    flagged_labelled: int
    anomalies: int
    anomaly_share: float
    known_after_s: float | None
    precision: Estimate | None
    recall: Estimate | None
    confusion: Confusion
    delay: Delay
    scorers: tuple[ScorerFigures, ...]


def accuracy(
    scores: Mapping[str, Floats],
    flagged: NDArray[np.bool_],
    time_s: Floats,
    entities: Entities | None,
    clock: LabelClock,
    *,
    rate: float,
    seed: int = 0,
) -> Accuracy | None:
    """Measure scorers over the records with a label; None where there is none.

    `scores` are float64 [n] by name, finite, the evaluated one first; the other arrays are as `evaluate` has
    them, `rate` is the promised alert rate.
    """
    known = np.isfinite(clock.label)
    count = int(np.count_nonzero(known))
    if not count:
        return None
    label, flags = clock.label[known], flagged[known]
    table = confusion(flags, label)
    hits = float(table.true_positives)
    anomalies = int(np.count_nonzero(label == 1.0))
    return Accuracy(
        labelled=count,
        labelled_share=count / len(known),
        flagged_labelled=int(np.count_nonzero(flags)),
        anomalies=anomalies,
        anomaly_share=anomalies / count,
        known_after_s=_known_after_s(clock.known_s, time_s, known),
        precision=wilson(hits, float(np.count_nonzero(flags))),
        recall=wilson(hits, float(anomalies)),
        confusion=table,
        delay=delay(flagged, clock.label, time_s, None if entities is None else entities.key),
        scorers=tuple(
            scorer_figures(name, score[known], label, time_s[known], rate=rate, seed=seed)
            for name, score in scores.items()
        ),
    )


def scorer_figures(
    name: str, score: Floats, label: Floats, time_s: Floats, *, rate: float, seed: int = 0
) -> ScorerFigures:
    """Measure one scorer over n >= 1 records with labels 0 or 1."""
    average_precision, roc_auc = ranking(score, label)
    return ScorerFigures(
        name=name,
        average_precision=None
        if average_precision is None
        else average_precision_interval(score, label, time_s, average_precision, seed=seed),
        roc_auc=roc_auc,
        at_budget=at_budget(score, label, rate),
        precision_recall=precision_recall(score, label),
        roc=roc(score, label),
    )


def _known_after_s(known_s: Floats | None, time_s: Floats, known: NDArray[np.bool_]) -> float | None:
    if known_s is None:
        return None
    after = (known_s - time_s)[known]
    after = after[np.isfinite(after)]
    return float(np.median(after)) if len(after) else None
