"""Baselines that every detector must beat: a constant, chance, and the most extreme value.

All score rows [n, features] to finite floats [n] where high is anomalous, like any detector.
"""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from anomalyai.base import Detector, as_rows, reference_rows, stored_array
from anomalyai.constraint import Real, Whole

LARGEST_SCORE = 1e300
_MAD_TO_SIGMA = 1.4826  # of a normal distribution, as is the next
_MEAN_DEVIATION_TO_SIGMA = 1.2533
_SMALLEST_SPREAD = 1e-6  # of the centre's size, or absolute where that is below 1


class ConstantBaseline(Detector):
    """Gives every row the same score, `value`: finds nothing."""

    kind = "constant_baseline"
    incremental = False
    blind = True
    constraints: ClassVar = {"value": Real(-LARGEST_SCORE, LARGEST_SCORE)}

    def __init__(self, value: float = 0.0) -> None:
        self.value = value
        self._check_parameters()

    @property
    def width(self) -> None:
        """Any number of columns."""

    @property
    def is_warm(self) -> bool:
        """Always true."""
        return True

    def score_batch(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return `value` for each row of X [n, features]."""
        return np.full(len(as_rows(X)), self.value, dtype=np.float64)


class RandomBaseline(Detector):
    """Scores by chance, in [0, 1): a hash of `seed` and the row's number (how many were learnt before it).

    Because a row's number counts and not its batch, scoring and learning batch by batch gives the same scores
    however the stream is cut. The whole state is `rows_learnt`.
    """

    kind = "random_baseline"
    blind = True
    counts_rows = True
    constraints: ClassVar = {"seed": Whole(-(2**63), 2**64 - 1)}

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed
        self.rows_learnt = 0
        self._check_parameters()

    @property
    def width(self) -> None:
        """Any number of columns."""

    @property
    def is_warm(self) -> bool:
        """Always true."""
        return True

    def score_batch(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return the scores [n] of rows numbered from `rows_learnt` on, whatever X [n, features] holds."""
        numbers = np.arange(self.rows_learnt, self.rows_learnt + len(as_rows(X)), dtype=np.uint64)
        start = _mixed(np.array([self.seed % 2**64], dtype=np.uint64))
        return (_mixed(numbers + start) >> np.uint64(11)).astype(np.float64) / 2.0**53

    def learn_batch(self, X: ArrayLike) -> None:
        """Count the rows of X [n, features]."""
        self.rows_learnt += len(as_rows(X))

    def score_learn_batch(self, X: ArrayLike) -> NDArray[np.float64]:
        """Score the rows of X [n, features] and count them."""
        scores = self.score_batch(X)
        self.learn_batch(X)
        return scores

    def _learnt(self) -> dict[str, Any]:
        return {"rows_learnt": self.rows_learnt}

    def _take(self, fields: dict[str, Any]) -> None:
        self.rows_learnt = int(fields["rows_learnt"])


class ExtremeValueBaseline(Detector):
    """Scores a row by its most extreme value: the largest |x - centre| / spread over the features.

    Centre is the median of the reference, spread its median absolute deviation scaled to a standard
    deviation; where that is 0 the mean absolute deviation, likewise scaled; at least a millionth of the
    centre's size (of 1, if that is smaller). Missing values (NaN) are left out of both; a row without any
    value scores 0. Scores end at 1e300.

    `centre` and `spread`, float64 [features], come from `fit` and do not change after.
    """

    kind = "extreme_value_baseline"
    incremental = False

    def __init__(self) -> None:
        self.centre: NDArray[np.float64] | None = None
        self.spread: NDArray[np.float64] | None = None

    def fit(self, X: ArrayLike) -> Self:
        """Take centre and spread from the finite values of a reference [n, features] of ordinary records."""
        rows = reference_rows(X)
        centre = np.zeros(rows.shape[1])
        spread = np.zeros(rows.shape[1])
        for j, column in enumerate(rows.T):
            values = column[np.isfinite(column)]
            if len(values):
                centre[j] = np.median(values)
                deviations = np.abs(values - centre[j])
                spread[j] = (
                    _MAD_TO_SIGMA * np.median(deviations) or _MEAN_DEVIATION_TO_SIGMA * deviations.mean()
                )
        self.centre = centre
        self.spread = np.maximum(spread, _SMALLEST_SPREAD * np.maximum(np.abs(centre), 1.0))
        return self

    @property
    def width(self) -> int | None:
        """Number of columns of the reference."""
        return None if self.centre is None else len(self.centre)

    @property
    def is_warm(self) -> bool:
        """Whether there was a reference."""
        return self.centre is not None

    def score_batch(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return the scores [n] of the rows of X [n, features]: deviations, so 0 or more."""
        if self.centre is None or self.spread is None:
            raise self._not_trained()
        rows = as_rows(X, len(self.centre))
        with np.errstate(over="ignore"):  # capped below
            deviations = np.abs(rows - self.centre) / self.spread
        deviations[np.isnan(deviations)] = 0.0
        largest: NDArray[np.float64] = deviations.max(axis=1, initial=0.0)
        return np.minimum(largest, LARGEST_SCORE)

    def _learnt(self) -> dict[str, Any]:
        return {} if self.centre is None else {"centre": self.centre, "spread": self.spread}

    def _take(self, fields: dict[str, Any]) -> None:
        if not fields:
            return
        self.centre = stored_array(fields, "centre", None)
        self.spread = stored_array(fields, "spread", len(self.centre))
        if not (self.spread > 0.0).all():
            raise ValueError("expected positive spreads")


def _mixed(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return splitmix64 of each x: well-spread 64-bit hashes (Steele, Lea and Flood, OOPSLA 2014)."""
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
