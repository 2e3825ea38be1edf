"""Isolation forest: scikit-learn trains it, compiled loops score it.

Source: F. T. Liu, K. M. Ting and Z.-H. Zhou, "Isolation Forest", ICDM 2008, in the form of
`sklearn.ensemble.IsolationForest` (scikit-learn 1.9). Random cuts isolate an anomalous record in few steps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from anomalyai.base import Detector, as_rows, reference_rows
from anomalyai.constraint import Whole
from anomalyai.detectors.isolation_forest_kernel import LARGEST
from anomalyai.detectors.isolation_forest_layout import Layout, lay_out, layout_from_state, layout_state
from anomalyai.errors import ModelError

if TYPE_CHECKING:
    from sklearn.ensemble import IsolationForest as Estimator

MAX_FEATURES = 32_768
MAX_TREES = 10_000

FOREST_NATS = 10.244770920116851
"""c(256) of Liu, Ting & Zhou (2008), the usual path length: path lengths are -c * log2(score), in bits."""


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

    kind = "isolation_forest"

    def __init__(self, estimator: Estimator) -> None:
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

    @property
    def layout(self) -> Layout:
        """The trees as compiled scoring reads them; constant."""
        return self._layout

    @classmethod
    def fit(
        cls, X: ArrayLike, *, n_trees: int = 100, max_samples: int = 256, seed: int = 0
    ) -> IsolationForestModel:
        """Train on the rows of X [n, features] (n >= 1, NaN allowed), at most `max_samples` rows a tree."""
        from sklearn.ensemble import IsolationForest as Estimator

        rows = np.clip(reference_rows(X), -LARGEST, LARGEST).astype(np.float32)
        estimator = Estimator(
            n_estimators=n_trees, max_samples=min(max_samples, len(rows)), n_jobs=None, random_state=seed
        )
        return cls(estimator.fit(rows))

    @classmethod
    def from_estimator(cls, estimator: Estimator) -> IsolationForestModel:
        """Return a model around a fitted scikit-learn estimator, as kept by joblib."""
        return cls(estimator)

    @property
    def is_warm(self) -> bool:
        """Always true: a forest is trained before it is made."""
        return True

    def score_batch(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return the scores [n] of the rows of X [n, n_features], in (0, 1); high is anomalous."""
        return _scores(self._layout, as_rows(X, self.n_features))

    def voice_batch(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return the mean path lengths [n] of the rows of X [n, n_features], sign flipped, in nats."""
        nats: NDArray[np.float64] = FOREST_NATS * np.log(self.score_batch(X))
        return nats

    def learn_batch(self, X: ArrayLike) -> None:
        """Leave the forest as it is: it changes only by being trained anew."""

    def __getstate__(self) -> dict[str, Any]:
        """Return the estimator; the layout is rebuilt when read."""
        return {"estimator": self.estimator}

    def __setstate__(self, kept: dict[str, Any]) -> None:
        """Rebuild from `__getstate__`'s answer."""
        IsolationForestModel.__init__(self, kept["estimator"])


class IsolationForest(Detector):
    """An isolation forest as a `Detector`: parameters first, trees from `fit`.

    Scores are those of `IsolationForestModel`, in (0, 1): about 0.5 or less for the usual, towards 1 for what
    few cuts isolate. NaN and infinities are taken as there.

    Parameters
    ----------
    n_trees
        Number of trees, 1 to 10,000.
    max_samples
        Rows drawn for each tree, 1 or more; all where there are fewer.
    seed
        Seed of draws and cuts, 0 to 2**32 - 1.
    """

    kind = "isolation_forest"
    incremental = False
    constraints: ClassVar = {
        "n_trees": Whole(1, MAX_TREES),
        "max_samples": Whole(1, 2**31 - 1),
        "seed": Whole(0, 2**32 - 1),
    }

    def __init__(self, n_trees: int = 100, max_samples: int = 256, seed: int = 0) -> None:
        self.n_trees = n_trees
        self.max_samples = max_samples
        self.seed = seed
        self._check_parameters()
        self.estimator: Any = None  # scikit-learn's, after `fit`
        self._width: int | None = None
        self._layout: Layout | None = None

    @property
    def width(self) -> int | None:
        """Number of columns it was trained on."""
        return self._width

    @property
    def is_warm(self) -> bool:
        """Whether it was trained."""
        return self._layout is not None

    def fit(self, X: ArrayLike) -> Self:
        """Train on the rows of X [n, features] (n >= 1, NaN allowed)."""
        model = IsolationForestModel.fit(
            X, n_trees=self.n_trees, max_samples=self.max_samples, seed=self.seed
        )
        self.estimator, self._width, self._layout = model.estimator, model.n_features, model.layout
        return self

    def score_batch(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return the scores [n] of the rows of X [n, width]."""
        if self._layout is None:
            raise self._not_trained()
        return _scores(self._layout, as_rows(X, self._width))

    def _learnt(self) -> dict[str, Any]:
        return {} if self._layout is None else {"width": self._width, **layout_state(self._layout)}

    def _take(self, fields: dict[str, Any]) -> None:
        if fields:
            width = int(fields["width"])
            self._layout = layout_from_state(fields, width)
            self._width = width


def _scores(layout: Layout, rows: NDArray[np.float64]) -> NDArray[np.float64]:
    scores = np.empty(len(rows), dtype=np.float64)
    layout.measure(rows, scores)
    return np.exp2(scores, out=scores)  # in numpy: compiled loops may round a vector and its tail unlike
