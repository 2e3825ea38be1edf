"""From raw scores to tail probabilities."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from anomalyai import state
from anomalyai.calibration import BINS, TailCalibrator


def exponential(count: int = 50_000) -> TailCalibrator:
    calibrator = TailCalibrator(-64.0, 192.0)
    rng = np.random.default_rng(0)
    for part in np.array_split(rng.exponential(2.0, count), 100):
        calibrator.learn(part)
    return calibrator


CALIBRATOR = exponential(5_000)


def tail(calibrator: TailCalibrator, *raw: float) -> NDArray[np.float64]:
    return calibrator.tail(np.array(raw))


def test_the_tail_of_an_exponential_is_met_and_extrapolated() -> None:
    calibrator = exponential()
    for wanted in (0.3, 0.01, 1e-3):
        assert tail(calibrator, -2.0 * math.log(wanted))[0] == pytest.approx(wanted, rel=0.25)
    assert tail(calibrator, -2.0 * math.log(1e-6))[0] == pytest.approx(1e-6, rel=2.0)
    assert tail(calibrator, -2.0 * math.log(1e-6))[0] > 2e-7


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=50))
def test_the_tail_falls_and_stays_a_probability(raw: list[float]) -> None:
    found = CALIBRATOR.tail(np.sort(np.array(raw)))
    assert np.all(found > 0.0)
    assert np.all(found <= 1.0)
    assert np.all(np.diff(found) <= 1e-12)


def test_the_tail_falls_strictly_through_all_that_was_learnt() -> None:
    found = CALIBRATOR.tail(np.linspace(0.0, 60.0, 200))
    assert np.all(np.diff(found) < 0.0)


def test_an_empty_calibrator_is_still_a_probability() -> None:
    found = tail(TailCalibrator(-64.0, 192.0), -100.0, 0.0, 1e9)
    assert np.all((found > 0.0) & (found <= 1.0))


def test_a_score_beyond_everything_seen_gets_a_finite_rarity() -> None:
    rarity = CALIBRATOR.rarity(np.array([-1e9, 30.0, 1e9]))
    assert np.isfinite(rarity).all()
    assert rarity[0] == 0.0
    assert 3.0 < rarity[1] < rarity[2]


def test_an_anomaly_among_the_learnt_scores_stretches_the_tail_little() -> None:
    clean, spoilt = exponential(5_000), exponential(5_000)
    spoilt.learn(np.array([150.0, 160.0, 170.0]))
    before, after = (calibrator.rarity(np.array([16.0]))[0] for calibrator in (clean, spoilt))
    assert before - 0.4 < after < before


def test_old_scores_are_forgotten() -> None:
    calibrator = TailCalibrator(-64.0, 192.0, half_life=1_000.0)
    rng = np.random.default_rng(0)
    for _ in range(20):
        calibrator.learn(rng.exponential(2.0, 500))
    for _ in range(20):
        calibrator.learn(rng.exponential(2.0, 500) + 20.0)
    assert tail(calibrator, 20.0)[0] > 0.98
    calibrator.forget()
    assert np.array_equal(calibrator.weights, np.zeros_like(calibrator.weights))
    assert tail(calibrator, 20.0)[0] == tail(TailCalibrator(-64.0, 192.0, half_life=1_000.0), 20.0)[0]


def test_weights_count() -> None:
    once, twice = (TailCalibrator(-64.0, 192.0) for _ in range(2))
    raw = np.random.default_rng(0).exponential(2.0, 400)
    once.learn(raw, np.full(400, 2.0))
    twice.learn(np.tile(raw, 2))
    assert once.weights.sum() == pytest.approx(twice.weights.sum(), rel=0.01)
    once.learn(np.empty(0))
    assert once.seen == 400


def test_a_restored_calibrator_answers_the_same() -> None:
    again = TailCalibrator(-64.0, 192.0)
    again.restore(state.loads("calibrator", state.dumps("calibrator", CALIBRATOR.state())))
    raw = np.linspace(-80.0, 250.0, 500)
    assert np.array_equal(again.tail(raw), CALIBRATOR.tail(raw))
    assert again.seen == CALIBRATOR.seen


def test_tails_are_the_histogram_between_bins_and_exponential_beyond_the_cut() -> None:
    raw = np.concatenate([np.linspace(-80.0, 250.0, 501), [CALIBRATOR._cut_value]])
    position = np.clip((raw - CALIBRATOR.lowest) / CALIBRATOR._width, 0.0, BINS - 1e-9)
    bins = position.astype(np.int64)
    share = position - bins
    inside = CALIBRATOR._survival[bins] * (1.0 - share) + CALIBRATOR._survival[bins + 1] * share
    excess = np.minimum(np.maximum(raw - CALIBRATOR._cut_value, 0.0) / CALIBRATOR._scale, 600.0)
    beyond = CALIBRATOR._cut_survival * np.exp(-excess)
    expected = np.where(raw >= CALIBRATOR._cut_value, beyond, inside)
    np.testing.assert_allclose(CALIBRATOR.tail(raw), expected, rtol=1e-15)
