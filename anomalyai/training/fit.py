"""Fitting a batch model to a training set.

Pure: no clock, no process. Whoever calls decides where it runs (in place in a back-test, in a process of
its own beside a live engine) and gets the same model either way: it depends on the training set alone.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from anomalyai.base import Detector
from anomalyai.detectors.isolation_forest import IsolationForestModel
from anomalyai.detectors.registry import DETECTORS
from anomalyai.errors import ModelError, ParameterError, shorten
from anomalyai.training.trained_model import TrainedModel
from anomalyai.training.training_set import TrainingSet

MIN_ROWS = 50

ALGORITHMS = ("isolation_forest", "one_class_svm", "kmeans", "dbscan")
"""What a feed's batch model may be; the first is the default."""

Trainer = Callable[[TrainingSet], TrainedModel]


def train(training_set: TrainingSet, algorithm: str = "isolation_forest", **parameters: Any) -> TrainedModel:
    """Fit a batch model to a training set.

    Parameters
    ----------
    training_set
        Clean records; its seed is the model's.
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
    detector = _detector(algorithm, {"seed": training_set.seed % 2**32, **parameters})
    rows = len(training_set.features)
    if rows < MIN_ROWS:
        raise ModelError(
            f"expected at least {MIN_ROWS} clean records to train on, got {rows}", code="too_few_rows"
        )
    fitted: Any = detector.fit(training_set.features)
    if algorithm == "isolation_forest":
        fitted = IsolationForestModel.from_estimator(fitted.estimator)
    return TrainedModel(fitted, training_set.columns, training_set.last_seq)


def _detector(algorithm: str, parameters: Mapping[str, Any]) -> Detector:
    if algorithm not in ALGORITHMS:
        raise ParameterError(
            f"expected algorithm as one of {', '.join(ALGORITHMS)}, got {shorten(algorithm)}",
            field="algorithm",
        )
    known = inspect.signature(DETECTORS[algorithm]).parameters
    for name in parameters:
        if name not in known:
            raise ParameterError(
                f"unknown parameter {shorten(name)} of {algorithm}",
                field=name,
                hint=f"Known ones: {', '.join(known)}",
            )
    return DETECTORS[algorithm](**parameters)
