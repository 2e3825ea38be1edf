"""Compiled loops that find the leaves of rows once, for scoring now and learning later.

Scoring a row and learning it take the same walk down a tree: where rows are scored first and learnt together
afterwards, keeping their leaves saves the second one. Rows that lack a feature are left out of this: their
walk depends on what was learnt in between (`half_space_trees_kernel` has it).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from anomalyai.detectors.compilation import compiled
from anomalyai.detectors.half_space_trees_kernel import BLOCK_ROWS, ONE, SIZE_LIMIT, pivot, tabulate

FOUR = np.uint64(4)


@compiled
def seek(
    values: NDArray[np.float64],
    width: int,
    features: NDArray[np.uint16],
    thresholds: NDArray[np.float64],
    n_leaves: int,
    leaves: NDArray[np.uint16],
) -> bool:
    """Write the leaf of every row in every tree to `leaves` [trees, rows], `width` values to a row.

    Returns whether no value was missing (NaN); where one was, the leaves mean nothing. The first two levels
    ask at most three columns, which are laid out one after another, so that vector instructions serve.
    """
    n_rows = leaves.shape[1]
    nodes = np.empty(min(n_rows, BLOCK_ROWS), dtype=np.uint64)
    columns = np.empty((width, len(nodes)))
    whole = True
    for start in range(0, n_rows, BLOCK_ROWS):
        rows = min(BLOCK_ROWS, n_rows - start)
        for i in range(rows):
            for j in range(width):
                value = values[(start + i) * width + j]
                columns[j, i] = value
                whole &= not np.isnan(value)
        for tree in range(leaves.shape[0]):
            base = tree * n_leaves
            reached = _begin(columns, features, thresholds, base, n_leaves, nodes, rows)
            while 2 * reached < n_leaves:
                _step(values, start * width, width, features, thresholds, base, nodes, rows)
                reached *= 2
            found = leaves[tree, start : start + rows]
            _finish(values, start * width, width, features, thresholds, base, nodes, n_leaves, found)
    return whole


@compiled
def _begin(
    columns: NDArray[np.float64],
    features: NDArray[np.uint16],
    thresholds: NDArray[np.float64],
    base: int,
    n_leaves: int,
    nodes: NDArray[np.uint64],
    n_rows: int,
) -> int:
    """Send rows from the root two levels down, where there are three; returns how many nodes are there."""
    if n_leaves < 8:
        for i in range(n_rows):
            nodes[i] = ONE
        return 1
    root, low, high = columns[features[base + 1]], columns[features[base + 2]], columns[features[base + 3]]
    at_root, at_low, at_high = thresholds[base + 1], thresholds[base + 2], thresholds[base + 3]
    for i in range(n_rows):
        side = np.uint64(not root[i] < at_root)
        below_low, below_high = np.uint64(not low[i] < at_low), np.uint64(not high[i] < at_high)
        nodes[i] = FOUR | (side << ONE) | (side & below_high) | (below_low & ~side)
    return 4


@compiled
def _step(
    values: NDArray[np.float64],
    row: int,
    width: int,
    features: NDArray[np.uint16],
    thresholds: NDArray[np.float64],
    base: int,
    nodes: NDArray[np.uint64],
    n_rows: int,
) -> None:
    """Move the `nodes` of the rows from `values[row]` on one level down the tree at `base`."""
    for i in range(n_rows):
        at = np.uint64(base) + nodes[i]
        value = values[np.uint64(row) + np.uint64(i) * np.uint64(width) + np.uint64(features[at])]
        nodes[i] = (nodes[i] << ONE) | np.uint64(not value < thresholds[at])


@compiled
def _finish(
    values: NDArray[np.float64],
    row: int,
    width: int,
    features: NDArray[np.uint16],
    thresholds: NDArray[np.float64],
    base: int,
    nodes: NDArray[np.uint64],
    n_leaves: int,
    found: NDArray[np.uint16],
) -> None:
    """Write the leaves below the `nodes` of the rows from `values[row]` on to `found` [rows]."""
    for i in range(len(found)):
        at = np.uint64(base) + nodes[i]
        value = values[np.uint64(row) + np.uint64(i) * np.uint64(width) + np.uint64(features[at])]
        side = np.uint64(not value < thresholds[at])
        found[i] = np.uint16(((nodes[i] << ONE) | side) - np.uint64(n_leaves))


@compiled
def sum_scores(
    leaves: NDArray[np.uint16],
    table: NDArray[np.float64],
    n_leaves: int,
    max_score: float,
    scores: NDArray[np.float64],
) -> None:
    """Write 1 less the share of `max_score` that the leaves hold to `scores` [rows], tree after tree."""
    for i in range(len(scores)):
        scores[i] = 0.0
    for tree in range(leaves.shape[0]):
        base = np.uint64(tree * n_leaves)
        for i in range(len(scores)):
            scores[i] += table[base + np.uint64(leaves[tree, i])]
    for i in range(len(scores)):
        scores[i] = 1.0 - scores[i] / max_score


@compiled
def count(
    leaves: NDArray[np.uint16],
    rows: NDArray[np.int64],
    current: NDArray[np.uint32],
    reference: NDArray[np.uint32],
    table: NDArray[np.float64],
    n_leaves: int,
    counter: int,
    window_size: int,
) -> int:
    """Learn some rows by their leaves, as `half_space_trees_kernel.advance` does; returns the new counter."""
    start = 0
    while start < len(rows):
        stop = min(len(rows), start + window_size - counter)
        for tree in range(leaves.shape[0]):
            base = np.uint64(tree * n_leaves)
            for i in range(start, stop):
                current[base + np.uint64(leaves[tree, rows[i]])] += np.uint32(1)
        counter += stop - start
        if counter == window_size:
            pivot(current, reference)
            tabulate(reference, n_leaves, SIZE_LIMIT * window_size, table)
            counter = 0
        start = stop
    return counter
