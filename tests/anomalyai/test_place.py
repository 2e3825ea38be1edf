"""Places on earth."""

from __future__ import annotations

import numpy as np
import pytest

from anomalyai.place import STATS, distance_km, distances_apart, is_place, journey

PARIS, LONDON, SYDNEY = (48.8566, 2.3522), (51.5074, -0.1278), (-33.8688, 151.2093)


@pytest.mark.parametrize(
    ("here", "there", "km"),
    [
        (PARIS, LONDON, 344.0),
        (LONDON, SYDNEY, 16_994.0),
        (PARIS, PARIS, 0.0),
        ((0.0, 179.9), (0.0, -179.9), 22.2),
    ],
)
def test_distances(here: tuple[float, float], there: tuple[float, float], km: float) -> None:
    assert distance_km(*here, *there) == pytest.approx(km, rel=5e-3, abs=1e-6)
    assert distance_km(*there, *here) == pytest.approx(distance_km(*here, *there))


def test_a_journey_that_nobody_makes() -> None:
    own = np.zeros((1, STATS), dtype=np.float32)
    assert np.isnan(journey(own, 0, 0, *PARIS, np.nan)).all()
    rng = np.random.default_rng(0)
    for _ in range(60):
        speed, away = journey(
            own, 0, 0, PARIS[0] + 0.01 * rng.normal(), PARIS[1] + 0.01 * rng.normal(), 3_600.0
        )
        assert np.expm1(speed) < 10.0
        assert np.expm1(away) < 10.0
    speed, away = journey(own, 0, 0, *SYDNEY, 600.0)
    assert np.expm1(speed) > 50_000.0
    assert np.expm1(away) == pytest.approx(16_960.0, rel=0.01)
    speed, away = journey(own, 0, 0, *PARIS, np.nan)
    assert np.isnan(speed)
    assert np.expm1(away) < 400.0  # one far place moves the usual one little


def test_what_is_no_place_is_left_out() -> None:
    assert is_place(*PARIS)
    assert not is_place(91.0, 0.0)
    assert not is_place(np.nan, 0.0)
    assert not is_place(0.0, np.inf)
    out = np.empty(3)
    distances_apart(np.array([PARIS, PARIS, (99.0, 0.0)]), np.array([LONDON, (np.nan, 0.0), LONDON]), out)
    assert np.expm1(out[0]) == pytest.approx(344.0, rel=5e-3)
    assert np.isnan(out[1:]).all()
