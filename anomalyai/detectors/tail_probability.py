"""Tail probabilities: how rarely a column of ordinary records is as high, or as low, as in this row.

Within a reference the probability is a share of its records. Towards its end it is extrapolated by a
generalised Pareto law for the excesses over that level (peaks over threshold; J. Pickands, "Statistical
inference using extreme order statistics", Annals of Statistics 1975), fitted by probability-weighted moments
(J. Hosking and J. Wallis, "Parameter and quantile estimation for the generalized Pareto distribution",
Technometrics 1987). Direction matters: on payments, high amounts alone find several times as much fraud as
deviations both ways.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from anomalyai.base import Detector, as_rows, reference_rows, stored_array
from anomalyai.errors import ParameterError

SIDES = ("upper", "lower", "both")

TAIL_SHARE, TAIL_RECORDS, LEAST_SHARE = 0.1, 200.0, 0.005
"""The extrapolation is fitted to this share of the reference on either side, at most this many records, but
to no smaller share than the last."""

LEAST_TAIL = 10
"""Fewer records in the tail than this give no shape: excesses are then taken as exponential."""

HEAVIEST = 1.0
"""Shapes end here, where the law has no mean any more. They start at 0: a score must go on rising."""

KEPT = 1_000
"""Quantiles kept of a column, so that memory does not grow with the reference."""

LARGEST_SCORE = 1e300

Rows = NDArray[np.float64]


class TailProbability(Detector):
    """Scores a row by -ln of its smallest tail probability over the columns.

    Scores are nats, 0 or more: 6.9 is as rare as 1 in 1,000 in that column. The smallest of many is not as
    rare as each: a feed's calibration sees to that. Missing values (NaN) say nothing; a row without any value
    scores 0.

    Parameters
    ----------
    side
        What is suspicious of a value: "upper" that it is high, "lower" that it is low, "both" either, with
        twice the smaller probability. One for all columns, or a sequence with one for each.
    """

    kind = "tail_probability"
    incremental = False

    def __init__(self, side: str | Sequence[str] = "both") -> None:
        self.side = side
        self._check_parameters()
        self._tails: list[tuple[_Tail, _Tail]] | None = None

    @property
    def width(self) -> int | None:
        """Number of columns of the reference."""
        return None if self._tails is None else len(self._tails)

    @property
    def is_warm(self) -> bool:
        """Whether there was a reference."""
        return self._tails is not None

    def fit(self, X: ArrayLike) -> Self:
        """Take the tails of a reference [n, features] of ordinary records, from its finite values.

        Raises
        ------
        ParameterError
            `side` is a sequence of another length than X has columns.
        """
        rows = reference_rows(X)
        self._sides(rows.shape[1])
        finite = [np.clip(column[np.isfinite(column)], -1e150, 1e150) for column in rows.T]
        self._tails = [(_Tail.fit(column), _Tail.fit(-column)) for column in finite]
        return self

    def probabilities(self, X: ArrayLike) -> Rows:
        """Return the tail probabilities [n, width] of every value of X [n, width], 1 where it is missing.

        They end at 1e-300; the score goes on beyond.
        """
        return np.maximum(np.exp(-self._surprises(X)), 1e-300)

    def score_batch(self, X: ArrayLike) -> Rows:
        """Return the scores [n] of the rows of X [n, width]."""
        largest: Rows = self._surprises(X).max(axis=1, initial=0.0)
        return largest

    def _surprises(self, X: ArrayLike) -> Rows:
        if self._tails is None:
            raise self._not_trained()
        rows = as_rows(X, len(self._tails))
        out = np.zeros(rows.shape)
        for j, (side, (upper, lower)) in enumerate(zip(self._sides(rows.shape[1]), self._tails, strict=True)):
            values = rows[:, j]
            if side == "both":
                surprise = np.maximum(upper.surprise(values), lower.surprise(-values)) - np.log(2.0)
            else:
                surprise = upper.surprise(values) if side == "upper" else lower.surprise(-values)
            out[:, j] = np.where(np.isnan(values), 0.0, np.clip(surprise, 0.0, LARGEST_SCORE))
        return out

    def _sides(self, width: int) -> Sequence[str]:
        sides = [self.side] * width if isinstance(self.side, str) else self.side
        if len(sides) != width:
            raise ParameterError(
                f"expected one side for each of {width} columns, got {len(sides)}", field="side"
            )
        return sides

    def _check_parameters(self) -> None:
        sides = [self.side] if isinstance(self.side, str) else self.side
        for side in sides:
            if side not in SIDES:
                raise ParameterError(
                    f"expected side as one of {', '.join(SIDES)}, got {side!r}", field="side"
                )

    def _learnt(self) -> dict[str, Any]:
        state: dict[str, Any] = {} if self._tails is None else {"columns": len(self._tails)}
        for j, pair in enumerate(self._tails or ()):
            for name, tail in zip(("upper", "lower"), pair, strict=True):
                state[f"{name}{j}"] = np.array([tail.records, tail.level, tail.scale, tail.shape])
                state[f"{name}{j}.quantiles"] = tail.quantiles
        return state

    def _take(self, fields: dict[str, Any]) -> None:
        if fields:
            columns = range(fields["columns"])
            self._tails = [(_stored(fields, f"upper{j}"), _stored(fields, f"lower{j}")) for j in columns]


@dataclass(frozen=True)
class _Tail:
    """The upper tail of one column: evenly spaced quantiles, and the law of excesses over `level`."""

    quantiles: Rows
    records: float
    level: float
    scale: float
    shape: float

    @classmethod
    def fit(cls, values: Rows) -> _Tail:
        """Take the tail of finite values [n]; of none, everything is usual."""
        if not len(values):
            return cls(np.empty(0), 0.0, 0.0, 1.0, 0.0)
        ordered = np.sort(values)
        quantiles = np.quantile(ordered, np.linspace(0.0, 1.0, min(KEPT, len(ordered))))
        share = max(min(TAIL_SHARE, TAIL_RECORDS / len(ordered)), LEAST_SHARE)
        level = float(np.quantile(ordered, 1.0 - share))
        scale, shape = _pareto(ordered[ordered > level] - level)
        floor = max(1e-3 * float(np.std(ordered)), 1e-6 * abs(level), 1e-9)
        return cls(quantiles, float(len(ordered)), level, max(scale, floor), shape)

    def surprise(self, values: Rows) -> Rows:
        """Return -ln P(X >= value) [n]; what it says of NaN is of no account."""
        if not len(self.quantiles):
            return np.zeros(len(values))
        known = -np.log(self._share_from(values, "left"))
        with np.errstate(over="ignore", invalid="ignore"):  # capped, and NaN left out, by the caller
            excess = np.minimum((values - self.level) / self.scale, LARGEST_SCORE)
            beyond = np.log1p(self.shape * excess) / self.shape if self.shape > 0.0 else excess
        above = -np.log(self._share_from(np.array([self.level]), "right")[0])
        # No value is rarer than its share of the reference while it is within it.
        tail = np.where(values > self.quantiles[-1], above + beyond, np.minimum(above + beyond, known))
        surprise: Rows = np.where(values > self.level, tail, known)
        return surprise

    def _share_from(self, values: Rows, side: Literal["left", "right"]) -> Rows:
        """Return the share of the reference from each value on ("left") or beyond it, never 0.

        One record more is counted above everything, as of n + 1 exchangeable ones the next is the highest
        with probability 1 / (n + 1).
        """
        below = np.searchsorted(self.quantiles, values, side=side) / len(self.quantiles)
        share: Rows = ((1.0 - below) * self.records + 1.0) / (self.records + 1.0)
        return share


def _pareto(excesses: Rows) -> tuple[float, float]:
    """Return (scale, shape) of the law of sorted excesses, the shape from 0 to `HEAVIEST`."""
    n = len(excesses)
    if n == 0:
        return 0.0, 0.0
    mean = float(excesses.mean())
    if n < LEAST_TAIL:
        return mean, 0.0
    weights = 1.0 - (np.arange(1, n + 1) - 0.35) / n
    weighted = float(np.mean(weights * excesses))
    if mean <= 2.0 * weighted:
        return mean, 0.0
    shape = min(max(2.0 - mean / (mean - 2.0 * weighted), 0.0), HEAVIEST)
    return mean * max(1.0 - shape, 0.1), shape


def _stored(fields: dict[str, Any], name: str) -> _Tail:
    quantiles = stored_array(fields, f"{name}.quantiles", None)
    records, level, scale, shape = stored_array(fields, name, 4).tolist()
    if records < 0.0 or scale <= 0.0 or not 0.0 <= shape <= HEAVIEST or (np.diff(quantiles) < 0.0).any():
        raise ValueError(f"expected {name} as a tail")
    return _Tail(quantiles, records, level, scale, shape)
