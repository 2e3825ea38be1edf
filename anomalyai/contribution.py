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

__all__ = ["MAX_PAIRS", "MAX_PROBES", "Rescore", "contributions"]

Rescore = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""The score of feature rows, float64 [n, columns] -> float64 [n]."""

MAX_PAIRS = 8
MAX_PROBES = 128
"""Rows that are scored for one record, or twice its fields where these are more."""


def contributions(
    row: NDArray[np.float64],
    typical: NDArray[np.float64],
    groups: Sequence[NDArray[np.int64]],
    score: Rescore,
) -> NDArray[np.float64]:
    """Return each field's part in the score of a row, float64 [fields], which sum to that score.

    Parameters
    ----------
    row
        float64 [columns], as it was scored.
    typical
        float64 [columns], what stands in for a field that is taken away; NaN where unknown.
    groups
        The columns of each field; every column that the score looks at is in one.
    score
        The score of rows.

    Examples
    --------
    >>> groups = [np.array([0]), np.array([1])]
    >>> contributions(np.array([5.0, 2.0]), np.zeros(2), groups, lambda rows: rows.sum(axis=1)).tolist()
    [5.0, 2.0]
    """
    count = len(groups)
    stand_in = np.where(np.isfinite(typical), typical, row)
    orders = _orders(count)
    probes = np.repeat(stand_in[None, :], 2 + len(orders) * (count - 1), axis=0)
    probes[1] = row
    place = 2
    for order in orders:
        probe = stand_in.copy()
        for field in order[:-1]:
            probe[groups[field]] = row[groups[field]]
            probes[place] = probe
            place += 1
    scores = score(probes)
    steps = np.empty((len(orders), count + 1))
    steps[:, 0], steps[:, -1] = scores[0], scores[1]
    steps[:, 1:-1] = scores[2:].reshape(len(orders), count - 1)
    parts = np.zeros(count)
    for order, gain in zip(orders, np.diff(steps, axis=1), strict=True):
        parts[list(order)] += gain
    # An empty record scores 0, so what a typical one scores is every field's alike.
    split: NDArray[np.float64] = parts / len(orders) + scores[0] / count
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
