"""Several half-space tree ensembles over one range."""

from __future__ import annotations

import numpy as np

from anomalyai.tree_group import TreeGroup, quartile_range, widened_range

NUMBERS, RARITIES = np.array([0, 2]), np.array([1])


def warm(rows: int = 3_000) -> TreeGroup:
    """Return a group that learnt rows of two numbers, in two heaps each, and a rarity between them."""
    rng = np.random.default_rng(0)
    centre = np.where(rng.random(rows) < 0.5, -3.0, 3.0)
    values = np.column_stack([centre, rng.choice([0.1, 4.0], rows, p=[0.9, 0.1]), -centre])
    values[:, [0, 2]] += rng.normal(0.0, 0.3, (rows, 2))
    group = TreeGroup(NUMBERS, RARITIES, seed=0)
    group.fit_range(values, widened_range)
    return group


def test_trees_find_the_empty_middle_thin() -> None:
    group = warm()
    assert group.is_warm
    probes = np.array(
        [[0.0, 0.1, 0.0], [40.0, 0.1, -40.0], [3.0, 0.1, 3.0], [3.0, 8.0, -3.0], [3.0, 0.1, -3.0]]
    )
    thin = group.thinness(group.leaves(probes))
    assert thin[:4].min() > thin[4]


def test_missing_and_far_values_fall_at_the_edges() -> None:
    group = warm()
    leaves = group.leaves(
        np.array([[np.nan, np.nan, np.nan], [-1e30, 0.0, -1e30], [1e30, 99.0, np.inf], [900.0, 8.0, 900.0]])
    )
    assert np.array_equal(leaves[:, :, 0], leaves[:, :, 1])
    assert np.array_equal(leaves[:, :, 2], leaves[:, :, 3])


def test_learning_by_leaves_is_learning_the_rows() -> None:
    by_leaves, by_rows = warm(), warm()
    rows = np.random.default_rng(1).normal(size=(2_500, 3))
    by_leaves.learn_leaves(by_leaves.leaves(rows))
    shares = np.column_stack([rows[:, [0, 2]], rows[:, 1]])
    scaled = np.clip((shares - by_rows.low) / by_rows.span, 0.0, 1.0)
    for trees in by_rows.sets:
        trees.learn_batch(scaled)
    assert by_leaves.state().keys() == by_rows.state().keys()
    for name, value in by_leaves.state().items():
        assert np.array_equal(value, by_rows.state()[name]), name


def test_ranges_are_of_what_is_known() -> None:
    column = np.array([0.0, 1.0, 2.0, 3.0, 4.0, np.nan])
    low, span = widened_range(np.column_stack([column, np.full(6, 5.0), np.full(6, np.nan)]))
    assert low.tolist() == [-2.0, 2.5, 0.0]
    assert span.tolist() == [8.0, 5.0, 1.0]
    low, span = quartile_range(column[:, None])
    assert (low[0], span[0]) == (-9.0, 22.0)
