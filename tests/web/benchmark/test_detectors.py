"""The speed comparison of detectors reports rates of the right things, with margins far below the usual."""

import pytest

from web.benchmark.detectors import measure_dsalmon, measure_forest, measure_hst


def test_half_space_trees_are_measured_beside_river() -> None:
    results = measure_hst(n=3_000, features=4, seed=1)
    assert list(results) == ["hst_1000", "hst_10000"]
    for row in results.values():
        assert row["ratio"] == pytest.approx(row["value"] / row["baseline"])
        assert row["ratio"] > 10.0


def test_the_forest_is_measured_beside_scikit_learn() -> None:
    results = measure_forest(n=3_000, features=4, seed=1)
    assert list(results) == ["forest_1", "forest_10000"]
    for row in results.values():
        assert row["ratio"] == pytest.approx(row["value"] / row["baseline"])
    assert results["forest_1"]["ratio"] > 50.0


def test_half_space_trees_are_measured_beside_dsalmon() -> None:
    pytest.importorskip("dSalmon", reason="dSalmon is optional and built from source")
    row = measure_dsalmon(n=20_000, features=4, seed=1)["hst_dsalmon"]
    assert row["ratio"] == pytest.approx(row["value"] / row["baseline"])
    assert row["ratio"] > 0.2
