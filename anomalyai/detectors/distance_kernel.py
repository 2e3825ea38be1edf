"""Compiled sums over distances between rows and points, in one fixed order.

Libraries compute distances as matrix products, whose last bits depend on how many rows there are. Here every
row is measured alone: squared differences are added column by column, and terms point by point.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from anomalyai.detectors.compilation import compiled


@compiled
def measure_nearest(rows: Any, points: Any, index: Any, distance: Any) -> None:
    """Write which point is nearest to each row, and its Euclidean distance.

    `rows` float64 [n, columns], `points` float64 [m, columns] with m >= 1; `index` int64 [n] and `distance`
    float64 [n] are filled. Of equally near points the first is taken. A point is given up once it is farther
    than the best, which changes nothing.
    """
    for i in range(rows.shape[0]):
        best = np.inf
        at = 0
        for p in range(points.shape[0]):
            total = 0.0
            for j in range(rows.shape[1]):
                difference = rows[i, j] - points[p, j]
                total += difference * difference
                if total >= best:
                    break
            if total < best:
                best = total
                at = p
        index[i] = at
        distance[i] = np.sqrt(best)


@compiled
def sum_kernels(rows: Any, points: Any, weights: Any, gamma: float, sums: Any) -> None:
    """Write the weighted sum of exp(-gamma * squared distance) over the points, for each row.

    `rows` float64 [n, columns], `points` float64 [m, columns], `weights` float64 [m]; `sums` float64 [n] is
    filled.
    """
    for i in range(rows.shape[0]):
        total = 0.0
        for p in range(points.shape[0]):
            squared = 0.0
            for j in range(rows.shape[1]):
                difference = rows[i, j] - points[p, j]
                squared += difference * difference
            total += weights[p] * np.exp(-gamma * squared)
        sums[i] = total
