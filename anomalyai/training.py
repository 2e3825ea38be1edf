"""Training of a feed's batch model from the clean records that a pipeline set aside.

Pure: no clock, no process. Whoever calls decides where it runs (in place in a back-test, in a process of
its own beside a live engine) and gets the same model either way: it depends on the training set alone.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from anomalyai.detectors.isolation_forest import IsolationForestModel
from anomalyai.errors import ModelError

MIN_ROWS = 50


class TrainingSet(msgspec.Struct, frozen=True):
    """Clean records as the detectors see them.

    `features` is float64 [rows, len(columns)], `last_seq` the record that completed the set, `seed` fixes the
    trees.
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


class TrainedModel:
    """A trained detector with the columns it reads; `score_batch` is high for anomalous.

    Only the scikit-learn estimator and plain values are kept by joblib; what is compiled is derived from
    them.
    """

    def __init__(self, detector: IsolationForestModel, columns: tuple[str, ...], last_seq: int) -> None:
        self.detector = detector
        self.columns = columns
        self.last_seq = last_seq
        self.algorithm = "isolation_forest"

    def score_batch(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """Score rows of float64 [n, len(columns)]; returns float64 [n], high is anomalous."""
        return self.detector.score_batch(features)


Trainer = Callable[[TrainingSet], TrainedModel]


def train(training_set: TrainingSet) -> TrainedModel:
    """Fit an isolation forest (Liu, Ting & Zhou, 2008) to a training set.

    Raises
    ------
    ModelError
        Fewer than `MIN_ROWS` rows.
    """
    rows = len(training_set.features)
    if rows < MIN_ROWS:
        raise ModelError(
            f"expected at least {MIN_ROWS} clean records to train on, got {rows}", code="too_few_rows"
        )
    detector = IsolationForestModel.fit(training_set.features, seed=training_set.seed)
    return TrainedModel(detector, training_set.columns, training_set.last_seq)
