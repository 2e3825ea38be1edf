"""Surprise of single columns, and how far out is too far."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from anomalyai.detectors.column_density import MISSING, MOST_INDEX, STEP, ColumnDensity


def density(values: NDArray[np.float64], upper_only: bool = False) -> ColumnDensity:
    """Return the density of one column that learnt the values."""
    found = ColumnDensity(np.array([upper_only]))
    found.fit_scale(values[:, None])
    found.learn_batch(values[:, None])
    return found


def test_surprise_grows_with_the_distance_and_is_zero_on_average() -> None:
    values = np.random.default_rng(0).normal(50.0, 3.0, 4_000)
    found = density(values)
    surprise = found.surprise(np.array([[50.0], [58.0], [70.0], [500.0], [1e30], [-400.0], [np.nan]]))[:, 0]
    assert np.all(np.diff(surprise[:5]) > 0.0)
    assert surprise[5] == pytest.approx(surprise[3], abs=0.2)
    assert surprise[6] == 0.0
    assert float(found.surprise(values[:, None]).mean()) == pytest.approx(0.0, abs=1e-9)


def test_an_evenly_spread_column_has_no_voice() -> None:
    values = np.random.default_rng(0).uniform(0.0, 1.0, 5_000)
    surprise = density(values).surprise(values[:, None])
    assert float(np.quantile(surprise, 0.99) - surprise.min()) < 0.2


def test_only_high_values_surprise_where_told_so() -> None:
    found = density(np.random.default_rng(0).normal(size=2_000), upper_only=True)
    low, middle, high = found.surprise(np.array([[-20.0], [0.0], [20.0]]))[:, 0]
    assert low == middle < high
    assert found.far_out(np.array([[-1e6]]), np.array([0]))[0, 0] == 1.0


def test_far_out_is_bounded_by_how_much_was_learnt() -> None:
    values = np.random.default_rng(0).normal(size=999)
    found = density(values)
    farthest = float(np.abs((values - found.median[0]) / found.spread[0]).max()) * found.spread[0]
    ratios = np.array([[0.5], [1.1], [10.0], [40.0], [1e20], [-10.0]])
    probes = found.median[0] + farthest * ratios
    bound = found.far_out(np.vstack([probes, [[np.nan]]]), np.array([0]))[:, 0]
    assert bound[:2].tolist() == [1.0, 1.0]
    index = -np.log(bound[3] / bound[2]) / np.log(4.0)
    assert 1.5 < index <= MOST_INDEX
    assert bound[2] == pytest.approx(10.0**-index / 1_000.0, rel=0.5)
    assert 0.0 < bound[4] < 1e-30
    assert bound[5] == pytest.approx(bound[2])
    assert bound[6] == 1.0


def drawn(shape: str, n: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return values whose tails are heavy, light, or end."""
    found: NDArray[np.float64] = {
        "pareto": lambda: rng.pareto(1.1, n),
        "lognormal": lambda: rng.lognormal(0.0, 1.5, n),
        "normal": lambda: rng.normal(size=n),
        "uniform": lambda: rng.random(n),
    }[shape]()
    return found


@pytest.mark.parametrize("shape", ["pareto", "lognormal", "normal", "uniform"])
@pytest.mark.parametrize("learnt", [200, 2_000])
def test_far_out_is_hardly_ever_said_of_a_usual_value(shape: str, learnt: int) -> None:
    """Whatever the tail: of values like those learnt hardly more than the share that the bound says."""
    rng = np.random.default_rng(7)
    bounds = np.concatenate(
        [
            density(drawn(shape, learnt, rng)).far_out(drawn(shape, 2_000, rng)[:, None], np.array([0]))[:, 0]
            for _ in range(40)
        ]
    )
    for share in (1e-2, 1e-3, 1e-4):
        assert np.mean(bounds <= share) <= 3.0 * share + 3.0 / len(bounds)


def test_what_is_far_depends_on_the_tail() -> None:
    rng = np.random.default_rng(1)
    ratio = np.array([[8.0]])
    bounds = []
    for shape in ("pareto", "lognormal", "normal"):
        found = density(drawn(shape, 5_000, rng))
        bounds.append(
            float(found.far_out(found.median + found.spread * found.farthest * ratio, np.array([0]))[0, 0])
        )
    assert bounds[0] == 1.0
    assert bounds[2] < bounds[1] < 1e-4


@pytest.mark.parametrize("values", [np.zeros(500), np.r_[np.zeros(480), np.full(20, 7.0)], np.full(500, 3.0)])
def test_a_column_that_hardly_moves_does_not_know_what_is_far(values: NDArray[np.float64]) -> None:
    found = density(values)
    assert found.far_out(np.array([[1e9]]), np.array([0]))[0, 0] == 1.0
    assert np.isfinite(found.surprise(np.array([[1e9]]))).all()


def test_bins_are_those_of_the_logarithm_of_the_distance() -> None:
    found = ColumnDensity(np.array([False]))
    edges = np.expm1(STEP * np.arange(1, MISSING))
    distances = np.r_[
        0.0, edges * (1.0 - 1e-12), edges * (1.0 + 1e-12), np.geomspace(1e-9, 1e300, 5_000), np.inf
    ]
    bins = found.bins(distances[:, None])[:, 0]
    expected = np.minimum(np.log1p(np.minimum(distances, 1e300)) / STEP, MISSING - 1).astype(np.uint8)
    assert np.array_equal(bins, expected)
    assert found.bins(np.array([[np.nan], [-1.0]]))[:, 0].tolist() == [MISSING, int(np.log(2.0) / STEP)]


def test_missing_values_leave_no_trace() -> None:
    values = np.random.default_rng(0).normal(size=(500, 1))
    with_gaps, without = density(values[:, 0]), density(values[:, 0])
    with_gaps.learn_batch(np.vstack([values, np.full((500, 1), np.nan)]))
    without.learn_batch(np.vstack([values, values[:0]]))
    assert with_gaps.mass.sum() < without.mass.sum()  # decayed by as many records as came
    assert with_gaps.mass.sum() == pytest.approx(500 * 0.5 ** (1_000 / 50_000) + 500, rel=1e-9)
