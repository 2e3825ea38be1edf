"""What a column usually holds."""

from __future__ import annotations

import numpy as np

from anomalyai.usual import QUANTILES, Usual


def test_spans_are_the_quantiles_that_numpy_gives_of_what_is_known() -> None:
    rng = np.random.default_rng(3)
    clean = (rng.normal(size=(501, 4)) ** 3).astype(np.float32).astype(np.float64)
    clean[rng.random(clean.shape) < 0.3] = np.nan
    clean[7, 1] = np.inf
    clean[:, 2] = np.nan
    clean[9, 2] = 4.0
    usual = Usual(clean)
    for j in range(4):
        span = usual.span(j)
        assert span is not None
        known = clean[np.isfinite(clean[:, j]), j]
        np.testing.assert_allclose(span, np.quantile(known, QUANTILES), rtol=1e-12)


def test_of_nothing_known_nothing_is_said() -> None:
    assert Usual(np.full((5, 2), np.nan)).span(1) is None
    assert Usual(np.empty((0, 2))).span(0) is None
    assert Usual(np.empty((0, 2))).distance(0, 7.0) == 0.0


def test_distance_is_one_at_the_edge_and_nothing_for_what_is_missing() -> None:
    usual = Usual(np.arange(101.0)[:, None])
    assert usual.distance(0, 95.0) == 1.0
    assert usual.distance(0, 5.0) == 1.0
    assert usual.distance(0, 140.0) == 2.0
    assert usual.distance(0, np.nan) == 0.0
