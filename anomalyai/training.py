"""Training of a feed's batch model from the clean records that a pipeline set aside.

Pure: no clock, no process. Whoever calls decides where it runs (in place in a back-test, in a process of
its own beside a live engine) and gets the same model either way: it depends on the training set alone.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from anomalyai.base import Detector
from anomalyai.detectors.isolation_forest import IsolationForestModel
from anomalyai.detectors.registry import DETECTORS
from anomalyai.errors import ModelError, ParameterError, shorten

MIN_ROWS = 50

ALGORITHMS = ("isolation_forest", "one_class_svm", "kmeans", "dbscan")
"""What a feed's batch model may be; the first is the default."""


class TrainingSet(msgspec.Struct, frozen=True):
    """Clean records as the detectors see them.

    `features` is float64 [rows, len(columns)], `last_seq` the record that completed the set, `seed` fixes the
    model.
    """

    features: Any
    columns: tuple[str, ...]
    last_seq: int
    seed: int = 0

    def save(self, path: Path) -> None:
        """Write the set to one file (NumPy's npz, nothing pickled)."""
        with path.open("wb") as file:
            np.savez_compressed(
                file,
                features=self.features,
                columns=np.array(self.columns, dtype=np.str_),
                last_seq=np.int64(self.last_seq),
                seed=np.int64(self.seed),
            )

    @classmethod
    def load(cls, path: Path) -> TrainingSet:
        """Read what `save` wrote."""
        with np.load(path, allow_pickle=False) as stored:
            return cls(
                features=stored["features"],
                columns=tuple(str(name) for name in stored["columns"]),
                last_seq=int(stored["last_seq"]),
                seed=int(stored["seed"]),
            )


class TrainedDetector(Protocol):
    """A detector that scikit-learn trained; `IsolationForestModel` and the other `ALGORITHMS` are such."""

    estimator: Any

    @property
    def kind(self) -> str:
        """The algorithm's name."""
        ...

    def score_batch(self, X: NDArray[np.float64], /) -> NDArray[np.float64]:
        """Return the scores of rows; high is anomalous."""
        ...

    def voice_batch(self, X: NDArray[np.float64], /) -> NDArray[np.float64]:
        """Return how anomalous rows are, in nats."""
        ...


class TrainedModel:
    """A trained detector with the columns it reads; `score_batch` is high for anomalous.

    Only the scikit-learn estimator and plain values are kept by joblib; what is compiled is derived from
    them.
    """

    def __init__(self, detector: TrainedDetector, columns: tuple[str, ...], last_seq: int) -> None:
        self.detector = detector
        self.columns = columns
        self.last_seq = last_seq

    @property
    def algorithm(self) -> str:
        """One of `ALGORITHMS`."""
        return self.detector.kind

    def score_batch(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """Score rows of float64 [n, len(columns)]; returns float64 [n], high is anomalous."""
        return self.detector.score_batch(features)

    def voice_batch(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return how anomalous rows of float64 [n, len(columns)] are, in nats, float64 [n].

        Scores of different algorithms are on scales of their own (a part of a unit, a ratio of distances, a
        lack of likeness); their logarithms are what the ensemble can add.
        """
        return self.detector.voice_batch(features)


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
