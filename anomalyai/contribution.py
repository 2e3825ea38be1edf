"""How much each field adds to a score: signed parts that sum to it.

The parts are Shapley values (Shapley 1953) of a game in which a record whose fields are partly replaced by
typical ones has the score that it would have got ("baseline Shapley", Sundararajan & Najmi 2020), and an
empty record has the score 0. Of up to four fields they are exact; of more they are estimated from a few
orders of the fields, each together with its reverse (Castro, Gomez & Tejada 2009; antithetic pairs, Mitchell
et al. 2022). In every order the parts telescope, so their sum is exact, however few the orders are. The
orders are fixed, so equal rows have equal parts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from itertools import permutations
from math import factorial

import numpy as np
from numpy.typing import NDArray

__all__ = ["MAX_PAIRS", "MAX_PROBES", "Rescore", "Splitter"]

Rescore = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""The score of feature rows, float64 [m, columns] -> float64 [m]; m is a multiple of the records, whose rows
follow one another."""

MAX_PAIRS = 8
MAX_PROBES = 128
"""Rows that are scored for one record, or twice its fields where these are more."""

MAX_CELLS = 1 << 20
"""Cells of the rows that are made at a time, or those of one record where these are more."""


class Splitter:
    """Splits scores of rows of one layout into parts.

    Parameters
    ----------
    groups
        The columns of each field, one field or more; every column that the score looks at is in one.
    columns
        How many columns a row has.

    Examples
    --------
    >>> splitter = Splitter([np.array([0]), np.array([1])], columns=2)
    >>> splitter.split(np.array([[5.0, 2.0]]), np.zeros(2), lambda rows: rows.sum(axis=1)).tolist()
    [[5.0, 2.0]]
    """

    def __init__(self, groups: Sequence[NDArray[np.int64]], columns: int) -> None:
        self._orders = np.array(_orders(len(groups)), dtype=np.int64)
        fields = len(groups)
        # for each order the record's own fields so far: none, the first, ..., all but the last; then all
        taken = np.zeros((len(self._orders), fields, fields), dtype=np.bool_)
        for order, steps in zip(self._orders, taken, strict=True):
            for step in range(1, fields):
                steps[step:, order[step - 1]] = True
        own = np.zeros((fields, columns), dtype=np.bool_)
        for field, group in enumerate(groups):
            own[field, group] = True
        steps = taken[:, 1:].reshape(-1, fields)
        ends = np.array([[False] * fields, [True] * fields])
        self._keeps: NDArray[np.bool_] = (np.vstack([ends, steps]).astype(np.float64) @ own) > 0.0

    @property
    def records_at_once(self) -> int:
        """How many records to split at a time, so that memory is bounded."""
        return max(MAX_CELLS // max(self._keeps.size, 1), 1)

    def split(
        self, rows: NDArray[np.float64], typical: NDArray[np.float64], score: Rescore
    ) -> NDArray[np.float64]:
        """Return each field's part in the score of each row, float64 [n, fields], which sum to that score.

        Parameters
        ----------
        rows
            float64 [n, columns], as they were scored.
        typical
            float64 [columns], what stands in for a field that is taken away; NaN where unknown.
        score
            The score of rows; it is called once.
        """
        stand_in = np.where(np.isfinite(typical), typical, rows)
        probes = np.where(self._keeps, rows[:, None, :], stand_in[:, None, :])
        scores = score(probes.reshape(-1, rows.shape[1])).reshape(len(rows), len(self._keeps))
        orders, fields = self._orders.shape
        steps = np.empty((len(rows), orders, fields + 1))
        steps[:, :, 0], steps[:, :, -1] = scores[:, :1], scores[:, 1:2]
        steps[:, :, 1:-1] = scores[:, 2:].reshape(len(rows), orders, fields - 1)
        parts = np.zeros((len(rows), fields))
        for order, gain in zip(self._orders, np.diff(steps, axis=2).transpose(1, 0, 2), strict=True):
            parts[:, order] += gain
        # An empty record scores 0, so what a typical one scores is every field's alike.
        split: NDArray[np.float64] = parts / orders + scores[:, :1] / fields
        return split


@cache
def _orders(count: int) -> tuple[tuple[int, ...], ...]:
    """Return orders of the fields: all of few, else some, every second one the reverse of the one before."""
    if factorial(count) * (count - 1) + 2 <= MAX_PROBES:
        return tuple(permutations(range(count)))
    pairs = min(max(MAX_PROBES // (2 * count), 1), MAX_PAIRS)
    rng = np.random.default_rng(count)
    orders: list[tuple[int, ...]] = []
    for _ in range(pairs):
        order = tuple(int(field) for field in rng.permutation(count))
        orders += [order, order[::-1]]
    return tuple(orders)
