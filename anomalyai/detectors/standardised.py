"""What detectors that scikit-learn trains on standardised columns have in common.

scikit-learn fits on one thread, so that sums are always added in the same order; scoring is ours, row by row.
"""

from __future__ import annotations

import abc
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from anomalyai.base import Detector, as_rows, reference_rows, stored_array
from anomalyai.detectors.robust_scale import AsIs, RobustScale

Rows = NDArray[np.float64]


class StandardisedDetector(Detector):
    """Base of the batch-trained detectors that measure distances.

    Columns are standardised by `RobustScale`: missing values take the median, infinities a far value. Those
    that were made ready before (`fit_as_is`) stay as they are.
    `estimator` is scikit-learn's, after `fit`; it is for looking at, scores and bytes come from plain arrays.
    """

    incremental = False

    def __init__(self) -> None:
        self._check_parameters()
        self.estimator: Any = None
        self._scale: RobustScale | AsIs | None = None

    @property
    def width(self) -> int | None:
        """Number of columns it was trained on."""
        return None if self._scale is None else self._scale.width

    @property
    def is_warm(self) -> bool:
        """Whether it was trained."""
        return self._scale is not None

    def fit(self, X: ArrayLike) -> Self:
        """Train on the rows of X [n, features], NaN and infinities allowed.

        Raises
        ------
        ValueError
            There are no rows or no columns.
        ModelError
            Nothing can be learnt from these rows with these parameters.
        """
        rows = reference_rows(X)
        return self._fit(rows, RobustScale.fit(rows))

    def fit_as_is(self, X: ArrayLike) -> Self:
        """Train on the rows of X [n, features] as they are: on one scale already, nothing missing.

        Raises as `fit` does.
        """
        rows = reference_rows(X)
        return self._fit(rows, AsIs(rows.shape[1]))

    def _fit(self, rows: Rows, scale: RobustScale | AsIs) -> Self:
        import sklearn.cluster  # noqa: F401 - loads the libraries whose threads are limited below
        from threadpoolctl import threadpool_limits

        with threadpool_limits(1):
            self._train(scale.apply(rows))
        self._scale = scale
        return self

    def standardise(self, X: ArrayLike) -> Rows:
        """Return the rows of X [n, width] as the estimator sees them."""
        if self._scale is None:
            raise self._not_trained()
        return self._scale.apply(as_rows(X, self.width))

    def score_batch(self, X: ArrayLike) -> Rows:
        """Return the scores [n] of the rows of X [n, width]."""
        return self._measure(self.standardise(X))

    @abc.abstractmethod
    def voice_batch(self, X: ArrayLike) -> Rows:
        """Return how anomalous the rows of X [n, width] are in nats [n], for the ensemble."""

    @abc.abstractmethod
    def _train(self, rows: Rows) -> None:
        """Set `estimator` and whatever `_measure` needs, from standardised rows [n, features], n >= 1."""

    @abc.abstractmethod
    def _measure(self, rows: Rows) -> Rows:
        """Return the scores of standardised rows."""

    @abc.abstractmethod
    def _arrays(self) -> dict[str, Any]:
        """Return what `_measure` needs, for `anomalyai.state`."""

    @abc.abstractmethod
    def _take_arrays(self, fields: dict[str, Any], width: int) -> None:
        """Put `_arrays` in place; raise `ValueError` where they contradict one another."""

    def _learnt(self) -> dict[str, Any]:
        if self._scale is None:
            return {}
        if isinstance(self._scale, AsIs):
            return {"as_is": self._scale.width, **self._arrays()}
        return {"centre": self._scale.centre, "spread": self._scale.spread, **self._arrays()}

    def _take(self, fields: dict[str, Any]) -> None:
        if not fields:
            return
        scale = _stored_scale(fields)
        self._take_arrays(fields, scale.width)
        self._scale = scale


def _stored_scale(fields: dict[str, Any]) -> RobustScale | AsIs:
    if "as_is" in fields:
        return AsIs(int(fields["as_is"]))
    scale = RobustScale(stored_array(fields, "centre", None), stored_array(fields, "spread", None))
    if len(scale.spread) != scale.width or not (scale.spread > 0.0).all():
        raise ValueError(f"expected {scale.width} positive spreads")
    return scale
