"""Compiled inner loops of `HalfSpaceTrees`.

Layout. A tree of height h is a heap counted from 1: node k has children 2k and 2k + 1, so the leaf reached is
`node - 2**h`. Only leaf masses are kept. A walk in River increments every node on its way, hence an inner
node's mass is always the sum of the leaf masses below it, which are neighbours in memory.

Why this equals River. River scores against reference masses that change only at a window's end, so between
two window ends the score of a walk is a function of its leaf alone. `tabulate` computes it per leaf at each
window end, with River's early stop; all terms are integers below 2**53, so any order of summation is exact. A
record then costs, per tree, one descent, one look-up and one increment.

Why this is fast. Trees are the outer loop, so that one tree's tables stay in the first-level cache while a
block of rows runs through it. Within a tree all rows go down one level before any goes down the next: a step
waits for the one above it, but never for another row's, so the processor overlaps the steps of many rows.

A row that lacks a feature follows, at each node asking for it, the child with the larger mass of the
*current* window, left when equal. Its leaf depends on what the rows before it added, and is therefore sought
when its turn to be learnt comes.
"""

import numpy as np
from numpy.typing import NDArray

from anomalyai.detectors.compilation import compiled

ONE = np.uint64(1)
TWO = np.uint64(2)
BLOCK_ROWS = 256
SIZE_LIMIT = 0.1  # River's walk ends at a node with less than this share of a window


@compiled
def tabulate(
    reference: NDArray[np.uint32], n_leaves: int, size_limit: float, table: NDArray[np.float64]
) -> None:
    """Fill `table` [trees * leaves] with the score of a walk to each leaf under `reference` leaf masses.

    Loops run level by level and count unsigned: this is what lets the compiler use vector instructions.
    """
    mass = np.zeros(2 * n_leaves, dtype=np.float64)
    score = np.zeros(2 * n_leaves, dtype=np.float64)
    weight = np.zeros(2 * n_leaves, dtype=np.float64)  # 2**depth, or 0 where the walk has stopped above
    for base in range(0, len(table), n_leaves):
        for leaf in range(n_leaves):
            mass[np.uint64(n_leaves) + np.uint64(leaf)] = reference[np.uint64(base) + np.uint64(leaf)]
        width = n_leaves // 2
        while width > 0:
            _sum_level(mass, width)
            width //= 2
        score[1] = mass[1]
        weight[1] = 1.0
        width = 1
        while width < n_leaves:
            _score_level(mass, width, size_limit, weight, score)
            width *= 2
        for leaf in range(n_leaves):
            table[np.uint64(base) + np.uint64(leaf)] = score[np.uint64(n_leaves) + np.uint64(leaf)]


@compiled
def _sum_level(mass: NDArray[np.float64], width: int) -> None:
    """Set the masses of nodes width .. 2 * width from those of their children."""
    for i in range(width):
        node = np.uint64(width) + np.uint64(i)
        mass[node] = mass[TWO * node] + mass[TWO * node + ONE]


@compiled
def _score_level(
    mass: NDArray[np.float64],
    width: int,
    size_limit: float,
    weight: NDArray[np.float64],
    score: NDArray[np.float64],
) -> None:
    """Set weight and score of the children of nodes width .. 2 * width."""
    for i in range(width):
        node = np.uint64(width) + np.uint64(i)
        below = 0.0 if mass[node] < size_limit else 2.0 * weight[node]
        so_far = score[node]
        weight[TWO * node] = below
        weight[TWO * node + ONE] = below
        score[TWO * node] = so_far + mass[TWO * node] * below
        score[TWO * node + ONE] = so_far + mass[TWO * node + ONE] * below


@compiled
def _guided_leaf(
    values: NDArray[np.float64],
    row: int,
    features: NDArray[np.uint16],
    thresholds: NDArray[np.float64],
    current: NDArray[np.uint32],
    base: int,
    n_leaves: int,
) -> int:
    """Return the leaf of the row at `values[row]`, which lacks features, by River's mass-guided walk."""
    span = n_leaves
    node = 1
    first = 0
    while span > 1:
        span >>= 1
        value = values[row + features[base + node]]
        side = 0
        if np.isnan(value):
            balance = 0
            for leaf in range(base + first, base + first + span):
                balance += int(current[leaf + span]) - int(current[leaf])
            if balance > 0:
                side = 1
        elif not value < thresholds[base + node]:
            side = 1
        node = 2 * node + side
        first += span * side
    return first


@compiled
def descend(
    values: NDArray[np.float64],
    row: int,
    width: int,
    features: NDArray[np.uint16],
    thresholds: NDArray[np.float64],
    base: int,
    nodes: NDArray[np.uint32],
    n_rows: int,
) -> None:
    """Move the `nodes` of the rows from `values[row]` on one level down the tree at `base`."""
    for i in range(n_rows):
        node = np.uint64(nodes[i])
        at = np.uint64(base) + node
        value = values[np.uint64(row) + np.uint64(i) * np.uint64(width) + np.uint64(features[at])]
        nodes[i] = np.uint32((node << ONE) | np.uint64(not value < thresholds[at]))


@compiled
def _run_tree(
    values: NDArray[np.float64],
    width: int,
    start: int,
    stop: int,
    missing: NDArray[np.bool_],
    any_missing: bool,
    learnt: NDArray[np.uint32],
    features: NDArray[np.uint16],
    thresholds: NDArray[np.float64],
    table: NDArray[np.float64],
    current: NDArray[np.uint32],
    base: int,
    n_leaves: int,
    nodes: NDArray[np.uint32],
    scores: NDArray[np.float64],
) -> None:
    """Send rows through the tree at `base`: add leaf scores to `scores`, `learnt` (0 or 1) to `current`."""
    n_rows = stop - start
    for i in range(n_rows):
        nodes[i] = 1
    reached = 1
    while reached < n_leaves:
        descend(values, start * width, width, features, thresholds, base, nodes, n_rows)
        reached *= 2
    to_leaf = np.uint64(base) - np.uint64(n_leaves)  # wraps round, and back again below
    if any_missing:
        for i in range(n_rows):
            if missing[start + i]:
                row = (start + i) * width
                leaf = _guided_leaf(values, row, features, thresholds, current, base, n_leaves)
                nodes[i] = np.uint32(n_leaves + leaf)
            at = to_leaf + np.uint64(nodes[i])
            scores[start + i] += table[at]
            current[at] += learnt[start + i]
    else:
        for i in range(n_rows):
            at = to_leaf + np.uint64(nodes[i])
            scores[start + i] += table[at]
            current[at] += learnt[start + i]


@compiled
def _missing(values: NDArray[np.float64], width: int, n_rows: int) -> NDArray[np.bool_]:
    """Return which rows lack a feature, bool [rows]."""
    missing = np.empty(n_rows, dtype=np.bool_)
    for i in range(n_rows):
        lacks = False
        for j in range(i * width, i * width + width):
            lacks |= np.isnan(values[j])
        missing[i] = lacks
    return missing


@compiled
def _block_end(learnt: NDArray[np.uint32], start: int, counter: int, window_size: int) -> tuple[int, int]:
    """Return where the block from row `start` ends, at the latest with its window, and the counter there."""
    stop = start
    while stop < min(len(learnt), start + BLOCK_ROWS) and counter < window_size:
        counter += int(learnt[stop])
        stop += 1
    return stop, counter


@compiled
def _begin_block(missing: NDArray[np.bool_], start: int, stop: int, scores: NDArray[np.float64]) -> bool:
    """Set the scores of a block's rows to 0; return whether one of the rows lacks a feature."""
    any_missing = False
    for i in range(start, stop):
        any_missing |= missing[i]
        scores[i] = 0.0
    return any_missing


@compiled
def _is_filled(reference: NDArray[np.uint32], n_leaves: int) -> bool:
    """Tell whether the reference holds a window; all trees do or none does, so the first is asked."""
    filled = False
    for leaf in range(n_leaves):
        filled |= reference[leaf] > 0
    return filled


@compiled
def pivot(current: NDArray[np.uint32], reference: NDArray[np.uint32]) -> None:
    """Make the running window's masses the reference, and begin a new window."""
    for leaf in range(len(current)):
        reference[leaf] = current[leaf]
        current[leaf] = 0


@compiled
def advance(
    values: NDArray[np.float64],
    width: int,
    learnt: NDArray[np.uint32],
    features: NDArray[np.uint16],
    thresholds: NDArray[np.float64],
    current: NDArray[np.uint32],
    reference: NDArray[np.uint32],
    table: NDArray[np.float64],
    n_leaves: int,
    counter: int,
    window_size: int,
    scores: NDArray[np.float64],
) -> int:
    """Score each row against the reference, then learn it where `learnt` [rows] is 1.

    `values` are the rows one after another, `width` to a row; the arrays of the trees [trees * leaves] follow
    one another likewise. Returns the new counter (learnt rows of the running window), updates `current`,
    `reference` and `table` in place, and writes `scores` [rows]; 0 while the first window fills and the
    reference is empty.
    """
    n_rows = len(learnt)
    max_score = float(len(table) // n_leaves) * float(window_size) * float(2 * n_leaves - 1)
    warm = _is_filled(reference, n_leaves)
    missing = _missing(values, width, n_rows)
    nodes = np.empty(min(n_rows, BLOCK_ROWS), dtype=np.uint32)
    start = 0
    while start < n_rows:
        stop, counter = _block_end(learnt, start, counter, window_size)
        any_missing = _begin_block(missing, start, stop, scores)
        for base in range(0, len(table), n_leaves):
            _run_tree(
                values,
                width,
                start,
                stop,
                missing,
                any_missing,
                learnt,
                features,
                thresholds,
                table,
                current,
                base,
                n_leaves,
                nodes,
                scores,
            )
        if warm:
            for i in range(start, stop):
                scores[i] = 1.0 - scores[i] / max_score
        if counter == window_size:
            pivot(current, reference)
            tabulate(reference, n_leaves, SIZE_LIMIT * window_size, table)
            warm = True
            counter = 0
        start = stop
    return counter
