"""Compiled sums over distances between rows and points, in one fixed order.

Libraries compute distances as matrix products, whose last bits depend on how many rows there are. Here every
row is measured alone: squared differences are added column by column, and terms point by point.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from anomalyai.detectors.compilation import compiled


@compiled
def measure_nearest(rows: Any, columns: Any, index: Any, distance: Any) -> None:
    """Write which point is nearest to each row, and its Euclidean distance.

    `rows` float64 [n, width]; `columns` float64 [width, m] are the m >= 1 points, column after column, so
    that several are measured at once. `index` int64 [n] and `distance` float64 [n] are filled; of
    equally near points the first is taken.
    """
    squared = np.empty(columns.shape[1])
    for i in range(rows.shape[0]):
        squared[:] = 0.0
        for j in range(rows.shape[1]):
            value = rows[i, j]
            for p in range(columns.shape[1]):
                difference = value - columns[j, p]
                squared[p] += difference * difference
        at = 0
        for p in range(1, columns.shape[1]):
            if squared[p] < squared[at]:
                at = p
        index[i] = at
        distance[i] = np.sqrt(squared[at])


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
