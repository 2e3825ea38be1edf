"""Compiled Page-Hinkley tests are River's."""

from __future__ import annotations

import numpy as np
from river.drift import PageHinkley

from anomalyai.page_hinkley import new_tests, update_tests


def test_every_series_drifts_where_rivers_does() -> None:
    rng = np.random.default_rng(5)
    values = rng.normal(size=(600, 8)) * np.linspace(0.5, 3.0, 8)
    values[300:, ::2] += 2.0
    values[rng.random(values.shape) < 0.1] = np.nan
    tests, drifted = new_tests(8), np.empty(8, dtype=np.bool_)
    theirs = [PageHinkley(min_instances=1, delta=1.0, threshold=16.0) for _ in range(8)]
    found = 0
    for row in values:
        update_tests(tests, row, 1.0, 16.0, drifted)
        for j in np.flatnonzero(~np.isnan(row)).tolist():
            theirs[j].update(float(row[j]))  # type: ignore[no-untyped-call]
            assert drifted[j] == theirs[j].drift_detected
            if not drifted[j]:
                their = theirs[j]
                sums = [their._x_mean.n, their._x_mean.get(), their._sum_increase, their._sum_decrease]
                assert [*sums, their._min_increase, their._max_decrease] == tests[j].tolist()
        assert not drifted[np.isnan(row)].any()
        found += int(drifted.sum())
    assert found > 5
