"""Compiled scoring of an isolation forest.

Rows arrive as float64 and are compared as scikit-learn compares them: cast to float32, a value goes left when
it is not above the node's threshold. Each row is laid out twice, as x and as -x, because scikit-learn sends a
missing value left at some nodes and right at others: where it goes left, the node is mirrored (children
swapped, question asked of -x), so that NaN, for which every comparison is false, takes the second child
everywhere and needs no test of its own.

Trees are the outer loop over blocks of rows that stay in the first-level cache. Within a tree all rows of a
block go down one level before any goes down the next: a step waits for the one above it, but never for
another row's, so the processor overlaps the steps of many rows.
"""

import numpy as np
from numpy.typing import NDArray

from anomalyai.detectors.compilation import compiled

ONE = np.uint64(1)
LARGEST = float(np.finfo(np.float32).max) / 2  # half, so that the span of two clipped values is finite too
_BLOCK_VALUES = 4096
_MOST_BLOCK_ROWS = 256
_LEAST_BLOCK_ROWS = 32


@compiled
def _block_rows(n_rows: int, width: int) -> int:
    """Return how many of `n_rows` rows with `width` features are scored together."""
    fitting = max(_LEAST_BLOCK_ROWS, min(_MOST_BLOCK_ROWS, _BLOCK_VALUES // (2 * width)))
    return min(n_rows, fitting)


@compiled
def _lay_out(
    values: NDArray[np.float64], start: int, stop: int, width: int, block: NDArray[np.float32]
) -> None:
    """Write x and -x of rows start..stop to `block`, clipped to +-`LARGEST`."""
    at = 0
    for i in range(start, stop):
        for j in range(width):
            value = np.float32(min(max(values[i * width + j], -LARGEST), LARGEST))
            block[at + j] = value
            block[at + width + j] = -value
        at += 2 * width


@compiled
def _descend(
    block: NDArray[np.float32],
    width: int,
    features: NDArray[np.uint16],
    thresholds: NDArray[np.float32],
    base: int,
    nodes: NDArray[np.uint32],
    n_rows: int,
) -> None:
    """Move the `nodes` of the block's rows one level down the heap at `base`."""
    for i in range(n_rows):
        node = np.uint64(nodes[i])
        at = np.uint64(base) + node
        value = block[np.uint64(i) * np.uint64(2 * width) + np.uint64(features[at])]
        nodes[i] = np.uint32((node << ONE) | np.uint64(not value <= thresholds[at]))


@compiled
def measure_heaps(
    values: NDArray[np.float64],
    width: int,
    features: NDArray[np.uint16],
    thresholds: NDArray[np.float32],
    lengths: NDArray[np.float64],
    n_leaves: int,
    mean_length: float,
    exponents: NDArray[np.float64],
) -> None:
    """Write the base-2 logarithm of each row's score to `exponents` [rows], trees being heaps of one depth.

    `values` are the rows one after another, `width` to a row. `features`, `thresholds` and `lengths`
    [trees * n_leaves] hold tree after tree: split nodes counted from 1, and the path length each leaf stands
    for. `mean_length` is the expected path length of a training sample times the trees.
    """
    n_rows = len(exponents)
    step = _block_rows(n_rows, width)
    block = np.empty(2 * width * step, dtype=np.float32)
    nodes = np.empty(step, dtype=np.uint32)
    for start in range(0, n_rows, max(1, step)):
        stop = min(start + step, n_rows)
        _lay_out(values, start, stop, width, block)
        for i in range(start, stop):
            exponents[i] = 0.0
        for base in range(0, len(lengths), n_leaves):
            for i in range(stop - start):
                nodes[i] = 1
            reached = 1
            while reached < n_leaves:
                _descend(block, width, features, thresholds, base, nodes, stop - start)
                reached *= 2
            to_leaf = np.uint64(base) - np.uint64(n_leaves)  # wraps round, and back again below
            for i in range(stop - start):
                exponents[start + i] += lengths[to_leaf + np.uint64(nodes[i])]
        _normalise(exponents, start, stop, mean_length)


@compiled
def measure_nodes(
    values: NDArray[np.float64],
    width: int,
    roots: NDArray[np.int64],
    depths: NDArray[np.int64],
    features: NDArray[np.uint16],
    thresholds: NDArray[np.float32],
    children: NDArray[np.uint32],
    lengths: NDArray[np.float64],
    mean_length: float,
    exponents: NDArray[np.float64],
) -> None:
    """Write the base-2 logarithm of each row's score to `exponents` [rows], trees being of any depth.

    All nodes are in one list. `roots` and `depths` [trees]; `features`, `thresholds`, `lengths` [nodes];
    `children` [nodes * 2], two to a node; a leaf is its own two children, so that every row takes the same
    number of steps. The rest is as in `measure_heaps`.
    """
    n_rows = len(exponents)
    step = _block_rows(n_rows, width)
    block = np.empty(2 * width * step, dtype=np.float32)
    nodes = np.empty(step, dtype=np.uint32)
    for start in range(0, n_rows, max(1, step)):
        stop = min(start + step, n_rows)
        _lay_out(values, start, stop, width, block)
        for i in range(start, stop):
            exponents[i] = 0.0
        for tree in range(len(roots)):
            for i in range(stop - start):
                nodes[i] = roots[tree]
            for _ in range(depths[tree]):
                for i in range(stop - start):
                    node = np.uint64(nodes[i])
                    value = block[np.uint64(i) * np.uint64(2 * width) + np.uint64(features[node])]
                    nodes[i] = children[(node << ONE) | np.uint64(not value <= thresholds[node])]
            for i in range(stop - start):
                exponents[start + i] += lengths[np.uint64(nodes[i])]
        _normalise(exponents, start, stop, mean_length)


@compiled
def _normalise(sums: NDArray[np.float64], start: int, stop: int, mean_length: float) -> None:
    """Turn sums of path lengths into -(sum / expected), or -1 for samples of one as scikit-learn does."""
    for i in range(start, stop):
        sums[i] = -(sums[i] / mean_length) if mean_length > 0.0 else -1.0
