"""Tail probabilities: right within a reference, sensible beyond it, by the side that is asked for."""

from __future__ import annotations

import numpy as np
import pytest

from anomalyai import state
from anomalyai.detectors.tail_probability import KEPT, TailProbability
from anomalyai.errors import ParameterError, StateError

REFERENCE = np.random.default_rng(0).normal(size=(20_000, 1))


def test_probabilities_are_those_of_the_distribution() -> None:
    detector = TailProbability("upper").fit(REFERENCE)
    found = detector.probabilities([[-3.0], [0.0], [1.0], [1.6449], [2.3263], [3.0902]])[:, 0]
    assert found == pytest.approx([0.99865, 0.5, 0.15866, 0.05, 0.01, 0.001], rel=0.15)


@pytest.mark.parametrize(
    ("draw", "value", "expected"),
    [
        ("exponential", np.log(1e5), 1e-5),
        ("pareto", 1e5 ** (1 / 2), 1e-5),  # P(X > x) = x ** -2
        ("pareto", 1e7 ** (1 / 2), 1e-7),
    ],
)
def test_beyond_the_reference_the_tail_goes_on(draw: str, value: float, expected: float) -> None:
    rng = np.random.default_rng(1)
    column = rng.exponential(size=5_000) if draw == "exponential" else rng.random(5_000) ** (-1 / 2)
    assert value > np.quantile(column, 0.9995)
    found = TailProbability("upper").fit(column[:, None]).probabilities([[value]])[0, 0]
    assert expected / 6.0 < found < expected * 6.0


def test_scores_rise_without_end_and_stay_finite() -> None:
    detector = TailProbability("upper").fit(REFERENCE)
    values = np.concatenate([np.linspace(-4.0, 8.0, 1_000), [20.0, 1e3, 1e9, 1e300, np.inf]])
    scores = detector.score_batch(values[:, None])
    assert (np.diff(scores) >= 0.0).all()
    assert (np.diff(scores[-6:-1]) > 0.0).all()
    assert np.isfinite(scores).all()
    assert 0.0 < detector.probabilities([[1e9]])[0, 0] < 1e-12


def test_sides_decide_what_is_suspicious() -> None:
    rows = [[5.0], [-5.0], [0.0]]
    upper, lower, both = (
        TailProbability(side).fit(REFERENCE).score_batch(rows) for side in ("upper", "lower", "both")
    )
    assert upper[0] > 10.0 > 0.01 > upper[1]
    assert lower[1] > 10.0 > 0.01 > lower[0]
    assert both[:2] == pytest.approx([upper[0] - np.log(2.0), lower[1] - np.log(2.0)])
    assert both[2] == pytest.approx(0.0, abs=0.05)


def test_each_column_may_have_its_own_side() -> None:
    reference = np.column_stack([REFERENCE, REFERENCE])
    detector = TailProbability(("upper", "lower")).fit(reference)
    assert detector.score_batch([[-6.0, 6.0]])[0] < 0.01
    assert detector.score_batch([[0.0, -6.0]])[0] > 10.0
    again = TailProbability.loads(detector.dumps())
    assert again.side == ("upper", "lower")
    with pytest.raises(ParameterError, match="one side for each of 3 columns, got 2"):
        TailProbability(("upper", "lower")).fit(np.zeros((4, 3)))
    with pytest.raises(ParameterError, match="expected side as one of upper, lower, both, got 'up'"):
        TailProbability(("upper", "up"))


def test_the_rarest_column_decides_and_missing_values_say_nothing() -> None:
    rng = np.random.default_rng(2)
    detector = TailProbability("upper").fit(rng.normal(size=(2_000, 3)))
    alone = detector.score_batch([[np.nan, 3.0, np.nan], [0.0, 3.0, 1.0], [np.nan] * 3])
    assert alone[0] == alone[1] > 5.0
    assert alone[2] == 0.0


def test_a_value_that_many_share_is_as_rare_as_its_share() -> None:
    flags = np.r_[np.zeros(950), np.ones(50)][:, None]
    assert TailProbability("upper").fit(flags).probabilities([[1.0], [0.0]])[:, 0] == pytest.approx(
        [0.051, 1.0], abs=2e-3
    )
    constant = TailProbability().fit(np.full((100, 1), 5.0))
    assert constant.score_batch([[5.0]])[0] == 0.0
    assert constant.score_batch([[6.0]])[0] > 5.0
    nothing = TailProbability().fit(np.full((100, 2), np.nan))
    assert nothing.score_batch([[5.0, np.inf]])[0] == 0.0


def test_memory_does_not_grow_with_the_reference() -> None:
    assert len(TailProbability().fit(REFERENCE).dumps()) < 2 * 8 * KEPT + 500


@pytest.mark.parametrize(
    "damage",
    [
        {"upper0": np.array([5.0, 0.0, 0.0, 0.0])},
        {"upper0": np.array([5.0, 0.0, 1.0, 2.0])},
        {"lower0.quantiles": np.array([1.0, 0.0])},
        {"columns": 2},
    ],
)
def test_damaged_states_are_refused(damage: dict[str, object]) -> None:
    fields = state.loads("tail_probability", TailProbability().fit(REFERENCE).dumps())
    with pytest.raises(StateError):
        TailProbability.loads(state.dumps("tail_probability", {**fields, **damage}))
