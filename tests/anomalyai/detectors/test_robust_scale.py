"""Columns on one scale: by hand where easy, finite everywhere."""

import numpy as np
import pytest

from anomalyai.detectors.robust_scale import FARTHEST, QUARTILES_TO_SIGMA, RobustScale


def test_scale_is_median_and_quartiles_of_the_finite_values() -> None:
    column = np.array([1.0, 2.0, 3.0, 4.0, 5.0, np.nan, np.inf, -np.inf])
    scale = RobustScale.fit(column[:, None])
    assert scale.centre.tolist() == [3.0]
    assert scale.spread.tolist() == [2.0 / QUARTILES_TO_SIGMA]
    assert scale.apply(np.array([[3.0], [5.0], [np.nan]]))[:, 0] == pytest.approx(
        [0.0, QUARTILES_TO_SIGMA, 0.0]
    )


@pytest.mark.parametrize(
    ("column", "spread"),
    [
        ([7.0] * 50, 7e-3),  # constant: a thousandth of its size
        ([0.0] * 50, 1.0),
        ([np.nan] * 50, 1.0),
        ([0.0] * 99 + [1.0], np.std([0.0] * 99 + [1.0])),  # its quartiles coincide
        ([1.0, 1.0 + 1e-12] * 25, 1e-3),
    ],
)
def test_a_column_that_hardly_moves_has_a_floor(column: list[float], spread: float) -> None:
    scale = RobustScale.fit(np.array(column)[:, None])
    assert scale.spread[0] == pytest.approx(spread)


def test_a_wild_tail_widens_the_spread() -> None:
    column = np.r_[np.linspace(0.0, 1e-6, 99), 1e3]
    assert RobustScale.fit(column[:, None]).spread[0] == pytest.approx(0.1 * np.std(column))


def test_standardised_values_are_finite_and_limited() -> None:
    scale = RobustScale.fit(np.array([[1e308, 1e-300], [-1e308, 3e-300], [1e308, 2e-300], [0.0, 2.5e-300]]))
    assert np.isfinite(scale.centre).all()
    assert np.isfinite(scale.spread).all()
    rows = np.array([[np.inf, np.inf], [-np.inf, 1e300], [1e308, -1e300], [np.nan, np.nan]])
    scaled = scale.apply(rows)
    assert np.abs(scaled).max() == FARTHEST
    assert np.isfinite(scaled).all()
    assert scaled[3].tolist() == [0.0, 0.0]
