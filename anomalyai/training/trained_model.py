"""A trained detector with the columns it reads: what a feed's pipeline takes in, and the store keeps."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from anomalyai.training.preprocessing import Preparation


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

    `columns` are those of the feature rows that it reads; rows may have more behind them. `preparation` makes
    them ready for the detector, None where that takes them as they are. Only the scikit-learn estimator and
    plain values are kept by joblib; what is compiled is derived from them.
    """

    def __init__(
        self,
        detector: TrainedDetector,
        columns: tuple[str, ...],
        last_seq: int,
        preparation: Preparation | None = None,
    ) -> None:
        self.detector = detector
        self.columns = columns
        self.last_seq = last_seq
        self.preparation = preparation

    @property
    def algorithm(self) -> str:
        """One of `ALGORITHMS`."""
        return self.detector.kind

    def score_batch(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """Score rows of float64 [n, len(columns)]; returns float64 [n], high is anomalous."""
        return self.detector.score_batch(self._prepared(features))

    def voice_batch(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return how anomalous rows of float64 [n, len(columns)] are, in nats, float64 [n].

        Scores of different algorithms are on scales of their own (a part of a unit, a ratio of distances, a
        lack of likeness); their logarithms are what the ensemble can add.
        """
        return self.detector.voice_batch(self._prepared(features))

    def _prepared(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        if self.preparation is not None:
            return self.preparation.apply(features)
        width = len(self.columns)
        return features if features.shape[1] == width else features[:, :width]
