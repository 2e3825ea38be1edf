"""Compiled loops that find the leaves of rows once, for scoring now and learning later.

Scoring a row and learning it take the same walk down a tree: where rows are scored first and learnt together
afterwards, keeping their leaves saves the second one. Rows that lack a feature are left out of this: their
walk depends on what was learnt in between (`half_space_trees_kernel` has it).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from anomalyai.detectors.compilation import compiled
from anomalyai.detectors.half_space_trees_kernel import BLOCK_ROWS, SIZE_LIMIT, descend, pivot, tabulate


@compiled
def seek(
    values: NDArray[np.float64],
    width: int,
    features: NDArray[np.uint16],
    thresholds: NDArray[np.float64],
    n_leaves: int,
    leaves: NDArray[np.uint16],
) -> None:
    """Write the leaf of every row in every tree to `leaves` [trees, rows], `width` values to a row."""
    n_rows = leaves.shape[1]
    nodes = np.empty(min(n_rows, BLOCK_ROWS), dtype=np.uint32)
    for start in range(0, n_rows, BLOCK_ROWS):
        rows = min(BLOCK_ROWS, n_rows - start)
        for tree in range(leaves.shape[0]):
            for i in range(rows):
                nodes[i] = 1
            reached = 1
            while reached < n_leaves:
                descend(values, start * width, width, features, thresholds, tree * n_leaves, nodes, rows)
                reached *= 2
            for i in range(rows):
                leaves[tree, start + i] = np.uint16(nodes[i] - np.uint32(n_leaves))


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
