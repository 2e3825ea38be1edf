"""Compiled scoring of an isolation forest.

Rows arrive as float64 and are compared as scikit-learn compares them: cast to float32, a value goes left when
it is not above the node's threshold. Each row is laid out twice, as x and as -x, because scikit-learn sends a
missing value left at some nodes and right at others: where it goes left, the node is mirrored (children
swapped, question asked of -x), so that NaN, for which every comparison is false, takes the second child
everywhere and needs no test of its own.

Trees are the outer loop over blocks of rows that fit the first-level cache; four rows descend at a time,
which hides the latency of a step behind the other three.
"""

import numpy as np
from numpy.typing import NDArray

from anomalyai.detectors.compilation import compiled

ONE = np.uint64(1)
LARGEST = float(np.finfo(np.float32).max) / 2  # half, so that the span of two clipped values is finite too
_BLOCK_BYTES = 12_288


@compiled
def _lay_out(rows: NDArray[np.float64], start: int, stop: int, block: NDArray[np.float32]) -> None:
    """Write x and -x of rows start..stop to `block`, clipped to +-`LARGEST`."""
    width = rows.shape[1]
    at = 0
    for i in range(start, stop):
        for j in range(width):
            value = np.float32(min(max(rows[i, j], -LARGEST), LARGEST))
            block[at + j] = value
            block[at + width + j] = -value
        at += 2 * width


@compiled
def _block_rows(width: int) -> int:
    """Return how many rows of `width` features a block holds: a multiple of 4, 4 to 512."""
    fitting = _BLOCK_BYTES // (8 * width)
    return max(4, min(512, fitting // 4 * 4))


@compiled
def score_heaps(
    rows: NDArray[np.float64],
    features: NDArray[np.uint16],
    thresholds: NDArray[np.float32],
    lengths: NDArray[np.float64],
    mean_length: float,
    scores: NDArray[np.float64],
) -> None:
    """Score `rows` [n, features] with trees laid out as complete binary heaps of one depth.

    `features` and `thresholds` [trees, 2**depth] count nodes from 1; `lengths` [trees, 2**depth] holds the
    path length that each leaf stands for; `mean_length` is the expected path length of the training sample
    times the trees.
    """
    n_rows, width = rows.shape
    n_trees, n_leaves = lengths.shape
    depth = 0
    while (1 << depth) < n_leaves:
        depth += 1
    leaves = np.uint64(n_leaves)
    step = _block_rows(width)
    block = np.zeros(2 * width * min(step, (n_rows + 3) // 4 * 4), dtype=np.float32)
    total = np.zeros(len(block) // (2 * width), dtype=np.float64)
    stride = np.uint64(2 * width)
    for start in range(0, n_rows, step):
        stop = min(start + step, n_rows)
        _lay_out(rows, start, stop, block)
        total[:] = 0.0
        for tree in range(n_trees):
            feature = features[tree]
            threshold = thresholds[tree]
            length = lengths[tree]
            for i in range(0, stop - start, 4):  # the last four may reach past the rows, not the block
                a = np.uint64(i) * stride
                b = a + stride
                c = b + stride
                d = c + stride
                p = ONE
                q = ONE
                r = ONE
                s = ONE
                for _ in range(depth):
                    p = (p << ONE) | np.uint64(not block[a + np.uint64(feature[p])] <= threshold[p])
                    q = (q << ONE) | np.uint64(not block[b + np.uint64(feature[q])] <= threshold[q])
                    r = (r << ONE) | np.uint64(not block[c + np.uint64(feature[r])] <= threshold[r])
                    s = (s << ONE) | np.uint64(not block[d + np.uint64(feature[s])] <= threshold[s])
                total[i] += length[p - leaves]
                total[i + 1] += length[q - leaves]
                total[i + 2] += length[r - leaves]
                total[i + 3] += length[s - leaves]
        for i in range(start, stop):
            scores[i] = _score(total[i - start], mean_length)


@compiled
def score_nodes(
    rows: NDArray[np.float64],
    roots: NDArray[np.int64],
    depths: NDArray[np.int64],
    features: NDArray[np.uint16],
    thresholds: NDArray[np.float32],
    children: NDArray[np.int64],
    lengths: NDArray[np.float64],
    mean_length: float,
    scores: NDArray[np.float64],
) -> None:
    """Score `rows` [n, features] with trees of any depth, all nodes in one list.

    `roots` and `depths` [trees]; `features`, `thresholds`, `lengths` [nodes]; `children` [nodes, 2]. A leaf
    is its own two children, so that every row takes the same number of steps.
    """
    n_rows, width = rows.shape
    step = _block_rows(width)
    block = np.zeros(2 * width * step, dtype=np.float32)
    total = np.zeros(step, dtype=np.float64)
    for start in range(0, n_rows, step):
        stop = min(start + step, n_rows)
        _lay_out(rows, start, stop, block)
        total[:] = 0.0
        for tree in range(len(roots)):
            for i in range(0, stop - start, 4):
                a = 2 * width * i
                b = a + 2 * width
                c = b + 2 * width
                d = c + 2 * width
                p = q = r = s = roots[tree]
                for _ in range(depths[tree]):
                    p = children[p, np.int64(not block[a + features[p]] <= thresholds[p])]
                    q = children[q, np.int64(not block[b + features[q]] <= thresholds[q])]
                    r = children[r, np.int64(not block[c + features[r]] <= thresholds[r])]
                    s = children[s, np.int64(not block[d + features[s]] <= thresholds[s])]
                total[i] += lengths[p]
                total[i + 1] += lengths[q]
                total[i + 2] += lengths[r]
                total[i + 3] += lengths[s]
        for i in range(start, stop):
            scores[i] = _score(total[i - start], mean_length)


@compiled
def _score(total: float, mean_length: float) -> float:
    """Return 2**-(path length / expected one); for samples of one record 0.5, as scikit-learn does."""
    if mean_length == 0.0:
        return 0.5
    return float(2.0 ** (-(total / mean_length)))
