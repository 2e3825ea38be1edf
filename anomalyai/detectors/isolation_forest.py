"""Isolation forest: scikit-learn trains it, compiled loops score it.

Source: F. T. Liu, K. M. Ting and Z.-H. Zhou, "Isolation Forest", ICDM 2008, in the form of
`sklearn.ensemble.IsolationForest` (scikit-learn 1.9). Random cuts isolate an anomalous record in few steps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from anomalyai.detectors.isolation_forest_kernel import LARGEST
from anomalyai.detectors.isolation_forest_layout import lay_out
from anomalyai.errors import ModelError

if TYPE_CHECKING:
    from sklearn.ensemble import IsolationForest

MAX_FEATURES = 32_768


class IsolationForestModel:
    """A fitted isolation forest with fast scoring; constant once made.

    `score_batch` is `-estimator.score_samples`, equal to 1e-12, and bit-identical however rows are cut into
    batches: **high is anomalous**, as everywhere in AnomalyAI, and this is the one place where scikit-learn's
    sign is flipped.

    Missing values (NaN) go where scikit-learn sends them: to the side that it noted at each node while
    training. Values past 1.7e38 either way (half the float32 range), infinities among them, are clipped to it
    for training and scoring.

    Pickling keeps the scikit-learn estimator alone; the compiled layout is derived from it again. Scoring
    reads only, so several threads may score at once.
    """

    def __init__(self, estimator: IsolationForest) -> None:
        if not hasattr(estimator, "estimators_"):
            raise ModelError(
                f"expected a fitted IsolationForest, got {estimator!r}",
                code="model_not_fitted",
                hint="Call fit first.",
            )
        if estimator.n_features_in_ > MAX_FEATURES:
            raise ModelError(
                f"expected up to {MAX_FEATURES} features, got {estimator.n_features_in_}",
                code="model_too_wide",
                hint="Train on fewer features.",
            )
        self.estimator = estimator
        self.n_features = int(estimator.n_features_in_)
        self._layout = lay_out(estimator)

    @classmethod
    def fit(
        cls, X: ArrayLike, *, n_trees: int = 100, max_samples: int = 256, seed: int = 0
    ) -> IsolationForestModel:
        """Train on the rows of X [n, features] (n >= 1, NaN allowed), at most `max_samples` rows a tree."""
        from sklearn.ensemble import IsolationForest

        rows = np.clip(np.asarray(X, dtype=np.float64), -LARGEST, LARGEST).astype(np.float32)
        if rows.ndim != 2 or 0 in rows.shape:
            raise ValueError(f"expected rows [n, features] with n >= 1, got an array {list(rows.shape)}")
        estimator = IsolationForest(
            n_estimators=n_trees, max_samples=min(max_samples, len(rows)), n_jobs=None, random_state=seed
        )
        return cls(estimator.fit(rows))

    @classmethod
    def from_estimator(cls, estimator: IsolationForest) -> IsolationForestModel:
        """Return a model around a fitted scikit-learn estimator, as kept by joblib."""
        return cls(estimator)

    @property
    def is_warm(self) -> bool:
        """Always true: a forest is trained before it is made."""
        return True

    def score_batch(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return the scores [n] of the rows of X [n, n_features], in (0, 1); high is anomalous."""
        rows = np.asarray(X, dtype=np.float64)
        if rows.ndim != 2 or rows.shape[1] != self.n_features:
            raise ValueError(
                f"expected rows [n, {self.n_features}] of numbers, got an array {list(rows.shape)}: "
                "give the columns the forest was trained on, NaN where a value is missing"
            )
        if not rows.flags.carray:
            rows = rows.copy(order="C")  # one memory layout, one compiled kernel
        scores = np.empty(len(rows), dtype=np.float64)
        self._layout.measure(rows, scores)
        return np.exp2(scores, out=scores)  # in numpy: compiled loops may round a vector and its tail unlike

    def learn_batch(self, X: ArrayLike) -> None:
        """Leave the forest as it is: it changes only by being trained anew."""

    def __getstate__(self) -> dict[str, Any]:
        """Return the estimator; the layout is rebuilt when read."""
        return {"estimator": self.estimator}

    def __setstate__(self, kept: dict[str, Any]) -> None:
        """Rebuild from `__getstate__`'s answer."""
        IsolationForestModel.__init__(self, kept["estimator"])
