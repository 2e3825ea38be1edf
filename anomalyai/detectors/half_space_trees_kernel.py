"""Compiled inner loops of `HalfSpaceTrees`.

Layout. A tree of height h is a heap counted from 1: node k has children 2k and 2k + 1, so the leaf reached is
`node - 2**h`. Only leaf masses are kept. A walk in River increments every node on its way, hence an inner
node's mass is always the sum of the leaf masses below it, which are neighbours in memory.

Why this equals River. River scores against reference masses that change only at a window's end, so between
two window ends the score of a walk is a function of its leaf alone. `tabulate` computes it per leaf at each
window end, with River's early stop; all terms are integers below 2**53, so any order of summation is exact. A
record then costs, per tree, one descent, one look-up and one increment. Trees are the outer loop: one tree's
tables stay in the first-level cache while the window's rows run through it, four at a time to hide the
latency of a descent.

A row that lacks a feature follows, at each node asking for it, the child with the larger mass of the
*current* window, left when equal. Such a row is taken alone, in its turn, because it depends on what the rows
before it added.
"""

import numpy as np
from numpy.typing import NDArray

from anomalyai.detectors.compilation import compiled

ONE = np.uint64(1)


@compiled
def tabulate(reference: NDArray[np.uint32], size_limit: float, table: NDArray[np.float64]) -> None:
    """Fill `table` [trees, leaves] with the score of a walk to each leaf under `reference` leaf masses."""
    n_trees, n_leaves = reference.shape
    mass = np.zeros(2 * n_leaves, dtype=np.float64)
    score = np.zeros(2 * n_leaves, dtype=np.float64)
    stopped = np.zeros(2 * n_leaves, dtype=np.bool_)
    for tree in range(n_trees):
        for leaf in range(n_leaves):
            mass[n_leaves + leaf] = reference[tree, leaf]
        for node in range(n_leaves - 1, 0, -1):
            mass[node] = mass[2 * node] + mass[2 * node + 1]
        score[1] = mass[1]
        stopped[1] = mass[1] < size_limit
        weight = 1.0
        for node in range(2, 2 * n_leaves):
            if node & (node - 1) == 0:  # the first node of a level
                weight *= 2.0
            parent = node >> 1
            if stopped[parent]:
                score[node] = score[parent]
                stopped[node] = True
            else:
                score[node] = score[parent] + mass[node] * weight
                stopped[node] = mass[node] < size_limit
        for leaf in range(n_leaves):
            table[tree, leaf] = score[n_leaves + leaf]


@compiled
def _guided_leaf(
    row: NDArray[np.float64],
    feature: NDArray[np.uint16],
    threshold: NDArray[np.float64],
    current: NDArray[np.uint32],
    height: int,
) -> int:
    """Return the leaf of a row with missing features, by River's mass-guided walk through one tree."""
    node = 1
    first = 0
    span = 1 << height
    for _ in range(height):
        span >>= 1
        value = row[feature[node]]
        side = 0
        if np.isnan(value):
            balance = np.int64(0)
            for leaf in range(first, first + span):
                balance += np.int64(current[leaf + span]) - np.int64(current[leaf])
            side = 1 if balance > 0 else 0
        elif not value < threshold[node]:
            side = 1
        node = 2 * node + side
        first += span * side
    return first


@compiled
def _run_tree(
    rows: NDArray[np.float64],
    start: int,
    stop: int,
    missing: NDArray[np.bool_],
    learnt: NDArray[np.uint32],
    feature: NDArray[np.uint16],
    threshold: NDArray[np.float64],
    height: int,
    table: NDArray[np.float64],
    current: NDArray[np.uint32],
    total: NDArray[np.float64],
) -> None:
    """Send rows start..stop through a tree: add leaf scores to `total`, `learnt` (0 or 1) to `current`."""
    flat = rows.reshape(rows.size)
    width = np.uint64(rows.shape[1])
    leaves = np.uint64(1) << np.uint64(height)
    i = start
    while i < stop:
        if i + 4 <= stop and not (missing[i] or missing[i + 1] or missing[i + 2] or missing[i + 3]):
            a = np.uint64(i) * width
            b = a + width
            c = b + width
            d = c + width
            p = ONE
            q = ONE
            r = ONE
            s = ONE
            for _ in range(height):
                p = (p << ONE) | np.uint64(not flat[a + np.uint64(feature[p])] < threshold[p])
                q = (q << ONE) | np.uint64(not flat[b + np.uint64(feature[q])] < threshold[q])
                r = (r << ONE) | np.uint64(not flat[c + np.uint64(feature[r])] < threshold[r])
                s = (s << ONE) | np.uint64(not flat[d + np.uint64(feature[s])] < threshold[s])
            p -= leaves
            q -= leaves
            r -= leaves
            s -= leaves
            total[i] += table[p]
            total[i + 1] += table[q]
            total[i + 2] += table[r]
            total[i + 3] += table[s]
            current[p] += learnt[i]
            current[q] += learnt[i + 1]
            current[r] += learnt[i + 2]
            current[s] += learnt[i + 3]
            i += 4
        else:
            leaf = _guided_leaf(rows[i], feature, threshold, current, height)
            total[i] += table[leaf]
            current[leaf] += learnt[i]
            i += 1


@compiled
def advance(
    rows: NDArray[np.float64],
    learnt: NDArray[np.uint32],
    features: NDArray[np.uint16],
    thresholds: NDArray[np.float64],
    current: NDArray[np.uint32],
    reference: NDArray[np.uint32],
    table: NDArray[np.float64],
    counter: int,
    warm: bool,
    window_size: int,
    scores: NDArray[np.float64],
) -> tuple[int, bool]:
    """Score each row against the reference, then learn it where `learnt` is 1.

    Returns the new (counter, warm), updates `current`, `reference` and `table` in place and writes `scores`
    [rows]; 0 while the first window fills.
    """
    n_rows = rows.shape[0]
    n_trees, n_leaves = table.shape
    height = 0
    while (1 << height) < n_leaves:
        height += 1
    max_score = float(n_trees) * float(window_size) * float(2 * n_leaves - 1)
    missing = np.zeros(n_rows, dtype=np.bool_)
    for i in range(n_rows):
        for j in range(rows.shape[1]):
            missing[i] |= np.isnan(rows[i, j])
        scores[i] = 0.0
    start = 0
    while start < n_rows:
        stop = start
        while stop < n_rows and counter < window_size:
            counter += learnt[stop]
            stop += 1
        for tree in range(n_trees):
            _run_tree(
                rows, start, stop, missing, learnt, features[tree], thresholds[tree],
                height, table[tree], current[tree], scores,
            )  # fmt: skip
        for i in range(start, stop):
            scores[i] = 1.0 - scores[i] / max_score if warm else 0.0
        if counter == window_size:
            reference[:] = current
            current[:] = 0
            tabulate(reference, 0.1 * window_size, table)
            counter = 0
            warm = True
        start = stop
    return counter, warm
