"""Several half-space tree ensembles over one range."""

from __future__ import annotations

import numpy as np

from anomalyai.tree_group import TreeGroup, quartile_range, widened_range


def test_trees_find_the_empty_middle_thin() -> None:
    rng = np.random.default_rng(0)
    learnt = np.concatenate([rng.normal(-3.0, 0.3, 1_000), rng.normal(3.0, 0.3, 1_000)])[:, None]
    group = TreeGroup(1, seed=0)
    group.fit_range(learnt[rng.permutation(2_000)], 1, *widened_range(learnt))
    assert group.is_warm
    middle, edge, full = group.thinness(np.array([[0.0], [40.0], [3.0]]))
    assert middle > full
    assert edge > full


def test_ranges_are_of_what_is_known() -> None:
    column = np.array([0.0, 1.0, 2.0, 3.0, 4.0, np.nan])
    low, span = widened_range(np.column_stack([column, np.full(6, 5.0), np.full(6, np.nan)]))
    assert low.tolist() == [-2.0, 2.5, 0.0]
    assert span.tolist() == [8.0, 5.0, 1.0]
    low, span = quartile_range(column[:, None])
    assert (low[0], span[0]) == (-9.0, 22.0)
