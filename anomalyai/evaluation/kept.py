"""The evaluation that a model's manifest keeps; its size is bounded, and its numbers have four digits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from anomalyai.evaluation.accuracy import LabelClock
from anomalyai.evaluation.evaluation import Basis, Scorers, evaluate
from anomalyai.evaluation.rival import PREVIOUS, baselines, number_columns
from anomalyai.evaluation.split import Entities

DIGITS = 4

Floats = NDArray[np.float64]


def held_out_report(
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
    """Return the evaluation that a training keeps of its model in the manifest, ready for JSON.

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
        The promised share of records, and the score above which that share of the earlier ones lies.
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
    report: dict[str, Any] = _rounded(msgspec.to_builtins(found))
    return report


def _rounded(value: Any, key: str = "") -> Any:
    """Return plain values with every float cut to `DIGITS` digits, but for times, which keep milliseconds."""
    if isinstance(value, float):
        return round(value, 3) if key.endswith("time_s") else float(f"{value:.{DIGITS}g}")
    if isinstance(value, dict):
        return {name: _rounded(part, name) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(part, key) for part in value]
    return value
