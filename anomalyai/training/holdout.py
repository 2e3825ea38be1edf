"""How good a training is, as far as its own data can say: fit on the first part by time, measure on the last.

Always beside a scorer of chance and one of extreme values. Without labels there is no accuracy to tell: then
the figures are how many records would be flagged, how much that agrees with the feed's own pipeline, and
whether a model of another seed would rank alike.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from anomalyai.detectors.baseline import ExtremeValueBaseline, RandomBaseline
from anomalyai.evaluation import Basis, held_out_report, measure
from anomalyai.training.fit import MIN_ROWS, train_prepared
from anomalyai.training.options import TrainingOptions
from anomalyai.training.parameter import checked
from anomalyai.training.preprocessing import without_gaps
from anomalyai.training.sample import RowSample
from anomalyai.training.trained_model import TrainedModel

__all__ = ["MAX_FITTED", "chosen", "fit_on", "hold_out", "usable"]

MAX_FITTED: Final = {"one_class_svm": 50_000, "dbscan": 10_000}
"""Rows that an algorithm is fitted to at most; the others take all. Of DBSCAN `max_rows` is the bound."""

HELD_OUT: Final = 5
"""One part in so many, the last one, is measured on."""

HOW: Final = "the last fifth of the data, by a model fitted on the clean records of the first four fifths"

MAX_MEASURED, MAX_COMPARED = 200_000, 20_000
"""Rows of that part which are scored, and clean rows that tell the threshold, spread evenly."""

Rows = NDArray[np.float64]


def usable(sample: RowSample, places: NDArray[np.int64], options: TrainingOptions) -> NDArray[np.int64]:
    """Return which of some rows may be fitted to: all, or with `drop` those that lack no field."""
    if options.preprocessing.missing != "drop" or not len(places):
        return places
    kept = without_gaps(options.preprocessing, sample.columns, sample.rows[places].astype(np.float64))
    return places[kept]


def chosen(places: NDArray[np.int64], options: TrainingOptions) -> NDArray[np.int64]:
    """Return which of some rows, by their places, are fitted to: all, or a seeded sample in their order."""
    most = MAX_FITTED.get(options.algorithm, len(places))
    if options.algorithm == "dbscan":
        most = min(most, checked(options.algorithm, options.parameters)["max_rows"])
    if len(places) <= most:
        return places
    drawn = np.random.default_rng(options.seed).choice(len(places), most, replace=False)
    return places[np.sort(drawn)]


def fit_on(
    sample: RowSample, places: NDArray[np.int64], options: TrainingOptions, last_seq: int = 0
) -> TrainedModel:
    """Fit a model to the rows at some places of a sample."""
    return train_prepared(sample.columns, sample.rows[places].astype(np.float64), options, last_seq=last_seq)


def hold_out(
    sample: RowSample, options: TrainingOptions, budget_rate: float, step: Callable[[float], None]
) -> dict[str, Any]:
    """Return the figures of the last fifth by the model of the first four fifths; empty where these are few.

    `budget_rate` is the promised share of alerts; `step` is told the share of the work done.
    """
    split = len(sample) * (HELD_OUT - 1) // HELD_OUT
    clean = usable(sample, np.flatnonzero(sample.clean[:split]), options)
    places = _spread(np.arange(split, len(sample)), MAX_MEASURED)
    if len(clean) < MIN_ROWS or not len(places):
        return {}
    model = fit_on(sample, chosen(clean, options), options)
    step(0.3)
    width = sum(column.aspect != "code" for column in sample.columns)
    usual = sample.rows[_spread(clean, MAX_COMPARED)].astype(np.float64)
    rows, label = sample.rows[places].astype(np.float64), sample.label[places]
    read = len(model.columns)
    extreme = ExtremeValueBaseline().fit(usual[:, :width])
    chance = RandomBaseline(options.seed)
    scorers: dict[str, Callable[[Rows], Rows]] = {
        "model": lambda values: model.score_batch(np.ascontiguousarray(values[:, :read])),
        "random": chance.score_batch,
        "extreme_value": lambda values: extreme.score_batch(values[:, :width]),
    }
    scores = {name: score(rows) for name, score in scorers.items()}
    flags = {
        name: scores[name] > np.quantile(score(usual), 1.0 - budget_rate, method="higher")
        for name, score in scorers.items()
    }
    step(0.7)
    other = fit_on(
        sample, chosen(clean, options), msgspec.structs.replace(options, seed=(options.seed + 1) % 2**32)
    )
    again = other.score_batch(rows[:, :read].copy())
    known = np.isfinite(label)
    threshold = float(np.quantile(scorers["model"](usual), 1.0 - budget_rate, method="higher"))
    return {
        "rows": len(places),
        "labelled": int(np.count_nonzero(known)),
        "anomalies": int(np.count_nonzero(label[known])) if known.any() else None,
        "budget_rate": budget_rate,
        **{name: _figures(scores[name], flags[name], label, budget_rate) for name in scorers},
        "agreement": _agreement(flags["model"], sample.flagged[places]),
        "stability": _rank_correlation(scores["model"], again),
        "report": held_out_report(
            scores["model"],
            rows[:, :width],
            usual[:, :width],
            [column.name for column in sample.columns[:width]],
            label=label,
            time_s=sample.time_s[places],
            budget_rate=budget_rate,
            threshold=threshold,
            entities=sample.entities(places),
            verdicts=sample.verdicts(places),
            again={"another seed": again},
            basis=Basis(scorer=options.algorithm, how=HOW, learnt_rows=len(clean), seed=options.seed),
        ),
    }


def _figures(
    score: Rows, flagged: NDArray[np.bool_], label: Rows, budget_rate: float
) -> dict[str, float | None]:
    found = measure(score, flagged, label, warmup=0, promised_rate=budget_rate)
    return {
        "average_precision": found.average_precision,
        "roc_auc": found.roc_auc,
        "precision_at_budget": found.precision_at_budget,
        "recall_at_budget": found.recall_at_budget,
        "rate": found.realised_rate,
    }


def _agreement(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float | None:
    """Return the share of what either flags that both do; None where nothing is flagged."""
    either = int(np.count_nonzero(first | second))
    return int(np.count_nonzero(first & second)) / either if either else None


def _rank_correlation(first: Rows, second: Rows) -> float | None:
    """Return Spearman's rank correlation; None where one of them ranks nothing."""
    if len(first) < 2 or np.ptp(first) == 0.0 or np.ptp(second) == 0.0:
        return None
    from scipy.stats import spearmanr

    return float(spearmanr(first, second).statistic)


def _spread(places: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """Return at most so many of the places, spread evenly over them."""
    if len(places) <= most:
        return places
    return places[np.linspace(0, len(places) - 1, most).astype(np.int64)]
