"""Baselines that every detector must beat: a constant, chance, and the most extreme value.

All score rows [n, features] to finite floats [n] where high is anomalous, like any detector.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

LARGEST_SCORE = 1e300
_MAD_TO_SIGMA = 1.4826  # of a normal distribution, as is the next
_MEAN_DEVIATION_TO_SIGMA = 1.2533
_SMALLEST_SPREAD = 1e-6  # of the centre's size, or absolute where that is below 1


class ConstantBaseline:
    """Gives every row the same score, `value`: finds nothing."""

    def __init__(self, value: float = 0.0) -> None:
        self.value = value

    @property
    def is_warm(self) -> bool:
        """Always true."""
        return True

    def score_batch(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return `value` for each row of X [n, features]."""
        return np.full(len(_rows(X)), self.value, dtype=np.float64)

    def learn_batch(self, X: ArrayLike) -> None:
        """Learn nothing."""


class RandomBaseline:
    """Scores by chance, in [0, 1): a hash of `seed` and the row's number (how many were learnt before it).

    Because a row's number counts and not its batch, scoring and learning batch by batch gives the same scores
    however the stream is cut. The whole state is `rows_learnt`.
    """

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed
        self.rows_learnt = 0

    @property
    def is_warm(self) -> bool:
        """Always true."""
        return True

    def score_batch(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return the scores [n] of rows numbered from `rows_learnt` on, whatever X [n, features] holds."""
        numbers = np.arange(self.rows_learnt, self.rows_learnt + len(_rows(X)), dtype=np.uint64)
        start = _mixed(np.array([self.seed % 2**64], dtype=np.uint64))
        return (_mixed(numbers + start) >> np.uint64(11)).astype(np.float64) / 2.0**53

    def learn_batch(self, X: ArrayLike) -> None:
        """Count the rows of X [n, features]."""
        self.rows_learnt += len(_rows(X))


class ExtremeValueBaseline:
    """Scores a row by its most extreme value: the largest |x - centre| / spread over the features.

    Centre is the median of a reference, spread its median absolute deviation scaled to a standard deviation;
    where that is 0 the mean absolute deviation, likewise scaled; at least a millionth of the centre's size
    (of 1, if that is smaller). Missing values (NaN) are left out of both; a row without any value scores 0.
    Scores end at 1e300.

    Parameters
    ----------
    centre, spread
        Arrays [features]; `fit` takes them from a reference. They do not change after.
    """

    def __init__(self, centre: NDArray[np.float64], spread: NDArray[np.float64]) -> None:
        if centre.shape != spread.shape or not (np.isfinite(centre).all() and (spread > 0).all()):
            raise ValueError(
                f"expected finite centres and positive spreads of one shape, got {centre} and {spread}"
            )
        self.centre = centre
        self.spread = spread

    @classmethod
    def fit(cls, reference: ArrayLike) -> ExtremeValueBaseline:
        """Take centre and spread from the finite values of a reference [n, features] of ordinary records."""
        rows = _rows(reference)
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
        return cls(centre, np.maximum(spread, _SMALLEST_SPREAD * np.maximum(np.abs(centre), 1.0)))

    @property
    def is_warm(self) -> bool:
        """Always true: it is made from a reference."""
        return True

    def score_batch(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return the scores [n] of the rows of X [n, features]: deviations, so 0 or more."""
        rows = _rows(X)
        if rows.shape[1:] != self.centre.shape:
            raise ValueError(f"expected rows [n, {len(self.centre)}], got an array {list(rows.shape)}")
        with np.errstate(over="ignore"):  # capped below
            deviations = np.abs(rows - self.centre) / self.spread
        deviations[np.isnan(deviations)] = 0.0
        largest: NDArray[np.float64] = deviations.max(axis=1, initial=0.0)
        return np.minimum(largest, LARGEST_SCORE)

    def learn_batch(self, X: ArrayLike) -> None:
        """Leave centre and spread as they are."""


def _rows(X: ArrayLike) -> NDArray[np.float64]:
    rows = np.asarray(X, dtype=np.float64)
    if rows.ndim != 2:
        raise ValueError(f"expected rows [n, features] of numbers, got an array {list(rows.shape)}")
    return rows


def _mixed(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return splitmix64 of each x: well-spread 64-bit hashes (Steele, Lea and Flood, OOPSLA 2014)."""
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
