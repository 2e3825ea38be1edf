"""The figures that a model's manifest keeps: few by name for programs, and all in `report` for the page.

The size is bounded: curves are thinned and numbers rounded to four digits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from anomalyai.evaluation.accuracy import Accuracy, LabelClock
from anomalyai.evaluation.evaluation import Basis, Evaluation, Scorers, evaluate
from anomalyai.evaluation.interval import Estimate
from anomalyai.evaluation.rival import PREVIOUS, baselines, number_columns
from anomalyai.evaluation.split import Entities

DIGITS = 4

Floats = NDArray[np.float64]


def held_out_figures(
    score: Floats,
    features: Floats,
    reference: Floats,
    columns: Sequence[str],
    *,
    label: Floats,
    time_s: Floats,
    budget_rate: float,
    threshold: float,
    entities: Entities | None = None,
    previous: Floats | None = None,
    again: dict[str, Floats] | None = None,
    verdicts: LabelClock | None = None,
    basis: Basis | None = None,
) -> dict[str, Any]:
    """Return what a training says of its model in the manifest, as plain values ready for JSON.

    Parameters
    ----------
    score
        Of the records held out, float64 [n], higher is rarer, by a model that was fitted on earlier ones.
    features, reference
        Feature rows of the records held out, float64 [n, len(columns)], and of those before, [m, ...].
    columns
        Names of the feature columns.
    label, time_s
        As in `evaluate`; all NaN where unknown.
    budget_rate, threshold
        The promised share of records, and the score above which this share of the earlier ones lies.
    entities, previous, again, verdicts, basis
        As in `evaluate`; `previous` are the scores of the model that this one is to replace, `again` those of
        the same training done otherwise.
    """
    own = number_columns(columns)
    rivals = baselines(reference[:, own], features[:, own], seed=0 if basis is None else basis.seed)
    if previous is not None:
        rivals[PREVIOUS] = previous
    found = evaluate(
        score,
        score > threshold,
        label,
        time_s,
        entities,
        budget_rate=budget_rate,
        threshold=threshold,
        scorers=Scorers(rivals, again or {}),
        verdicts=verdicts,
        basis=basis or Basis(how="held out", learnt_rows=len(reference)),
    )
    return summary(found)


def summary(evaluation: Evaluation) -> dict[str, Any]:
    """Return an evaluation's main figures by name, those of the rivals under `beside`, and all in `report`.

    Without labels the figures of accuracy are None.
    """
    truth = evaluation.ground_truth
    alerting = evaluation.alerting
    figures: dict[str, Any] = {
        "records": evaluation.basis.records,
        "anomalies": None if truth is None else truth.anomalies,
        "promised_rate": alerting.promised_rate,
        "realised_rate": _value(alerting.realised_rate),
        "alerts": alerting.flagged,
        "threshold": alerting.threshold,
        **_accuracy(truth, 0),
        "beside": {
            other.other: {
                **_accuracy(truth, place),
                "rank_correlation": other.rank_correlation,
                "shared_at_budget": other.shared_at_budget,
            }
            for place, other in enumerate(evaluation.agreement, 1)
        },
        "stability": {
            other.other: {
                "rank_correlation": other.rank_correlation,
                "shared_at_budget": other.shared_at_budget,
            }
            for other in evaluation.stability
        },
        "report": msgspec.to_builtins(evaluation),
    }
    rounded: dict[str, Any] = _rounded(figures)
    return rounded


def _accuracy(truth: Accuracy | None, place: int) -> dict[str, float | None]:
    """Return the figures of the scorer at a place; precision and recall are those at the alert budget."""
    scorer = None if truth is None else truth.scorers[place]
    return {
        "average_precision": _value(scorer.average_precision) if scorer else None,
        "roc_auc": scorer.roc_auc if scorer else None,
        "precision_at_budget": _value(scorer.at_budget.precision) if scorer else None,
        "recall_at_budget": _value(scorer.at_budget.recall) if scorer else None,
    }


def _value(estimate: Estimate | None) -> float | None:
    return None if estimate is None else estimate.value


def _rounded(value: Any, key: str = "") -> Any:
    """Return plain values with every float cut to `DIGITS` digits, but for times, which keep milliseconds."""
    if isinstance(value, float):
        return round(value, 3) if key.endswith("time_s") else float(f"{value:.{DIGITS}g}")
    if isinstance(value, dict):
        return {name: _rounded(part, name) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(part, key) for part in value]
    return value
