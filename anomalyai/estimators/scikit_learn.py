"""scikit-learn outlier detectors around ours: same scores, scikit-learn's sign and verbs.

**Low is anomalous here**, as everywhere in scikit-learn: `score_samples` is minus the detector's score,
`decision_function` is below 0 and `predict` -1 for what lies outside. All pass `check_estimator`.
"""

from __future__ import annotations

import abc
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from anomalyai.base import Detector
from anomalyai.constraint import Constraint, Real, check_parameters
from anomalyai.detectors.dbscan import DBSCAN
from anomalyai.detectors.half_space_trees import HalfSpaceTrees
from anomalyai.detectors.isolation_forest import IsolationForest
from anomalyai.detectors.kmeans import KMeans
from anomalyai.detectors.one_class_svm import EXACT_BELOW, OneClassSVM
from anomalyai.detectors.robust_scale import widened_range

__all__ = [
    "DBSCANEstimator",
    "HalfSpaceTreesEstimator",
    "IsolationForestEstimator",
    "KMeansEstimator",
    "OneClassSVMEstimator",
]

Rows = NDArray[np.float64]


class _DetectorEstimator(OutlierMixin, BaseEstimator, abc.ABC):  # type: ignore[misc]  # untyped bases
    """Base: `fit` makes a detector of the parameters and trains it.

    Attributes
    ----------
    detector_
        The trained detector.
    offset_
        The threshold on `score_samples`: its `contamination` quantile over the training rows.
    n_features_in_
        Number of columns.
    """

    _constraints: ClassVar[dict[str, Constraint]] = {"contamination": Real(0.0, 0.5, above=True)}
    contamination: float

    @abc.abstractmethod
    def _new_detector(self, rows: Rows) -> Detector:
        """Return the untrained detector for these training rows."""

    def _least_rows(self) -> int:
        """Return how many rows it takes to train."""
        return 1

    def _rows(self, rows: Rows) -> Rows:
        """Return rows as the detector takes them."""
        return rows

    def fit(self, X: ArrayLike, y: object = None) -> Self:
        """Train on the rows of X [n, features]; NaN is a missing value. `y` is ignored."""
        check_parameters(self.get_params(deep=False), self._constraints)
        rows = validate_data(
            self,
            X,
            dtype=np.float64,
            ensure_all_finite="allow-nan",
            ensure_min_samples=self._least_rows(),
        )
        self.detector_ = self._new_detector(rows)
        self.detector_.fit(self._rows(rows))
        self.offset_ = float(np.quantile(self._scores(rows), self.contamination))
        return self

    def score_samples(self, X: ArrayLike) -> Rows:
        """Return minus the detector's scores [n]: low is anomalous."""
        check_is_fitted(self)
        return self._scores(
            validate_data(self, X, dtype=np.float64, ensure_all_finite="allow-nan", reset=False)
        )

    def decision_function(self, X: ArrayLike) -> Rows:
        """Return `score_samples` less `offset_` [n]: below 0 is outside."""
        return self.score_samples(X) - self.offset_

    def predict(self, X: ArrayLike) -> NDArray[np.int64]:
        """Return -1 for rows that are outside and 1 for all others [n]."""
        return np.where(self.decision_function(X) < 0.0, -1, 1)

    def _scores(self, rows: Rows) -> Rows:
        return -self.detector_.score_batch(self._rows(rows))

    def _seed(self, random_state: int | np.random.RandomState | None) -> int:
        """Return an integer seed: the given one, or one drawn as scikit-learn draws."""
        if isinstance(random_state, int):
            return random_state
        return int(check_random_state(random_state).randint(2**31 - 1))

    def __sklearn_tags__(self) -> Any:
        """Tell that missing values are taken."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


class IsolationForestEstimator(_DetectorEstimator):
    """`anomalyai.detectors.isolation_forest.IsolationForest`; see there for the parameters."""

    def __init__(
        self,
        *,
        n_trees: int = 100,
        max_samples: int = 256,
        contamination: float = 0.1,
        random_state: int | np.random.RandomState | None = 0,
    ) -> None:
        self.n_trees = n_trees
        self.max_samples = max_samples
        self.contamination = contamination
        self.random_state = random_state

    def _new_detector(self, rows: Rows) -> Detector:
        return IsolationForest(self.n_trees, self.max_samples, self._seed(self.random_state))


class OneClassSVMEstimator(_DetectorEstimator):
    """`anomalyai.detectors.one_class_svm.OneClassSVM`; see there for the parameters."""

    def __init__(
        self,
        *,
        nu: float = 0.05,
        gamma: float | None = None,
        n_components: int = 200,
        exact_below: int = EXACT_BELOW,
        contamination: float = 0.1,
        random_state: int | np.random.RandomState | None = 0,
    ) -> None:
        self.nu = nu
        self.gamma = gamma
        self.n_components = n_components
        self.exact_below = exact_below
        self.contamination = contamination
        self.random_state = random_state

    def _new_detector(self, rows: Rows) -> Detector:
        seed = self._seed(self.random_state)
        return OneClassSVM(self.nu, self.gamma, self.n_components, self.exact_below, seed)


class KMeansEstimator(_DetectorEstimator):
    """`anomalyai.detectors.kmeans.KMeans`; see there for the parameters."""

    def __init__(
        self,
        *,
        n_clusters: int = 8,
        contamination: float = 0.1,
        random_state: int | np.random.RandomState | None = 0,
    ) -> None:
        self.n_clusters = n_clusters
        self.contamination = contamination
        self.random_state = random_state

    def _new_detector(self, rows: Rows) -> Detector:
        return KMeans(self.n_clusters, self._seed(self.random_state))


class DBSCANEstimator(_DetectorEstimator):
    """`anomalyai.detectors.dbscan.DBSCAN`; see there for the parameters."""

    def __init__(
        self,
        *,
        eps: float | None = None,
        min_samples: int = 10,
        max_rows: int = 5_000,
        contamination: float = 0.1,
        random_state: int | np.random.RandomState | None = 0,
    ) -> None:
        self.eps = eps
        self.min_samples = min_samples
        self.max_rows = max_rows
        self.contamination = contamination
        self.random_state = random_state

    def _least_rows(self) -> int:
        return self.min_samples  # fewer have no core sample

    def _new_detector(self, rows: Rows) -> Detector:
        return DBSCAN(self.eps, self.min_samples, self.max_rows, self._seed(self.random_state))


class HalfSpaceTreesEstimator(_DetectorEstimator):
    """`anomalyai.detectors.half_space_trees.HalfSpaceTrees`; see there for the parameters.

    Columns are scaled so that the range of the training rows, widened by half of it on either side, is what
    the trees cut. `window_size` is at most the number of training rows: after them the trees are warm.
    """

    def __init__(
        self,
        *,
        n_trees: int = 25,
        height: int = 8,
        window_size: int = 250,
        contamination: float = 0.1,
        random_state: int | np.random.RandomState | None = 0,
    ) -> None:
        self.n_trees = n_trees
        self.height = height
        self.window_size = window_size
        self.contamination = contamination
        self.random_state = random_state

    def _new_detector(self, rows: Rows) -> Detector:
        window_size = min(self.window_size, len(rows))
        self.low_, self.span_ = widened_range(rows)
        return HalfSpaceTrees(
            rows.shape[1], self.n_trees, self.height, window_size, seed=self._seed(self.random_state)
        )

    def _rows(self, rows: Rows) -> Rows:
        scaled: Rows = np.clip((rows - self.low_) / self.span_, 0.0, 1.0)
        return scaled
