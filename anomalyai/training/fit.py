"""Fitting a batch model to a training set.

Pure: no clock, no process. Whoever calls decides where it runs (in place in a back-test, in a process of
its own beside a live engine) and gets the same model either way: it depends on the training set alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomalyai.detectors.isolation_forest import IsolationForestModel
from anomalyai.detectors.standardised import StandardisedDetector
from anomalyai.errors import ModelError
from anomalyai.features import Column
from anomalyai.training.options import TrainingOptions
from anomalyai.training.parameter import ALGORITHMS, detector_of
from anomalyai.training.preprocessing import fit_preparation
from anomalyai.training.trained_model import TrainedModel
from anomalyai.training.training_set import TrainingSet

__all__ = ["ALGORITHMS", "MIN_ROWS", "Trainer", "train", "train_prepared"]

MIN_ROWS = 50

Trainer = Callable[[TrainingSet], TrainedModel]


def train(training_set: TrainingSet, algorithm: str = "isolation_forest", **parameters: Any) -> TrainedModel:
    """Fit a batch model to a training set, its columns as they are.

    Parameters
    ----------
    training_set
        Clean records; its seed is the model's where `parameters` have none.
    algorithm
        One of `ALGORITHMS`. The default is an isolation forest (Liu, Ting & Zhou, 2008).
    parameters
        The algorithm's own, as its detector takes them; what is left out has its default.

    Raises
    ------
    ModelError
        Fewer than `MIN_ROWS` rows, or rows that the algorithm can make nothing of.
    ParameterError
        There is no such algorithm or parameter, or it may not have this value.
    """
    seed = parameters.pop("seed", training_set.seed)
    detector = detector_of(algorithm, parameters, seed)
    fitted = _fitted(detector, training_set.features, as_is=False)
    return TrainedModel(fitted, training_set.columns, training_set.last_seq)


def train_prepared(
    columns: Sequence[Column], rows: NDArray[np.float64], options: TrainingOptions, *, last_seq: int = 0
) -> TrainedModel:
    """Fit what is asked for to feature rows, float64 [n, columns]; raises as `train` does.

    Where a model needs no codes of categories (they come last), it reads the columns before them. Rows to be
    dropped must have been (`preprocessing.without_gaps`).
    """
    prepares = options.preprocessing
    detector = detector_of(options.algorithm, options.parameters, options.seed)
    read = [column for column in columns if column.aspect != "code" or prepares.categories == "one_hot"]
    rows = rows[:, : len(read)]
    _require(len(rows))
    preparation = fit_preparation(options.algorithm, prepares, read, rows)
    if preparation is not None:
        rows = preparation.apply(rows)
    fitted = _fitted(detector, rows, as_is=preparation is not None and preparation.scales)
    return TrainedModel(fitted, tuple(column.name for column in read), last_seq, preparation)


def _fitted(detector: Any, rows: NDArray[np.float64], *, as_is: bool) -> Any:
    _require(len(rows))
    if isinstance(detector, StandardisedDetector):
        return detector.fit_as_is(rows) if as_is else detector.fit(rows)
    return IsolationForestModel.from_estimator(detector.fit(rows).estimator)


def _require(rows: int) -> None:
    if rows < MIN_ROWS:
        raise ModelError(
            f"expected at least {MIN_ROWS} clean records to train on, got {rows}", code="too_few_rows"
        )
