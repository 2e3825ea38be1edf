"""Baselines: simple enough to be checked by hand."""

import itertools

import numpy as np
import pytest

from anomalyai import state
from anomalyai.detectors.baseline import (
    LARGEST_SCORE,
    ConstantBaseline,
    ExtremeValueBaseline,
    RandomBaseline,
)
from anomalyai.errors import ModelError, StateError


def test_the_constant_gives_every_row_its_value() -> None:
    baseline = ConstantBaseline(0.25)
    baseline.learn_batch(np.ones((3, 2)))
    assert baseline.is_warm
    assert baseline.score_batch(np.ones((3, 2))).tolist() == [0.25] * 3


def test_chance_is_uniform_and_repeats_with_its_seed() -> None:
    rows = np.zeros((20_000, 1))
    scores = RandomBaseline(seed=1).score_batch(rows)
    assert np.histogram(scores, bins=10, range=(0.0, 1.0))[0] == pytest.approx([2_000] * 10, abs=200)
    assert (scores == RandomBaseline(seed=1).score_batch(rows)).all()
    assert abs(np.corrcoef(scores, RandomBaseline(seed=2).score_batch(rows))[0, 1]) < 0.03


def test_no_cut_of_the_stream_changes_chance() -> None:
    rows = np.zeros((100, 2))
    whole, pieces = RandomBaseline(3), RandomBaseline(3)
    parts = []
    for start, stop in itertools.pairwise([0, 1, 1, 40, 100]):
        parts.append(pieces.score_batch(rows[start:stop]))
        pieces.learn_batch(rows[start:stop])
    assert (np.concatenate(parts) == whole.score_batch(rows)).all()
    assert pieces.rows_learnt == 100


def test_the_extreme_value_is_the_largest_robust_deviation() -> None:
    reference = np.array([[1.0, 10.0], [2.0, 10.0], [3.0, 10.0], [4.0, 10.0], [np.nan, 20.0]])
    baseline = ExtremeValueBaseline().fit(reference)
    assert baseline.centre is not None
    assert baseline.centre.tolist() == [2.5, 10.0]
    assert baseline.spread == pytest.approx([1.4826, 1.2533 * 2.0])
    scores = baseline.score_batch([[2.5, 10.0], [4.5, 10.0], [2.5, 2.0], [np.nan, 10.0], [np.nan, np.nan]])
    assert scores == pytest.approx([0.0, 2.0 / 1.4826, 8.0 / 2.5066, 0.0, 0.0])


def test_the_extreme_value_stays_finite() -> None:
    baseline = ExtremeValueBaseline().fit(np.array([[5e6, np.nan, 0.0]] * 3))
    assert baseline.spread is not None
    assert baseline.spread.tolist() == [5.0, 1e-6, 1e-6]
    scores = baseline.score_batch(
        [[np.inf, 0.0, 0.0], [5e6, -np.inf, 0.0], [5e6, 0.0, 1e308], [5e6, 0.0, 0.0]]
    )
    assert scores.tolist() == [LARGEST_SCORE] * 3 + [0.0]


def test_the_extreme_value_does_not_learn_after_its_reference() -> None:
    baseline = ExtremeValueBaseline().fit(np.random.default_rng(0).normal(size=(100, 2)))
    before = baseline.score_batch([[3.0, 3.0]])
    baseline.learn_batch(np.full((50, 2), 3.0))
    assert baseline.is_warm
    assert (baseline.score_batch([[3.0, 3.0]]) == before).all()


def test_baselines_say_what_they_expect() -> None:
    for baseline in (ConstantBaseline(), RandomBaseline(), ExtremeValueBaseline().fit(np.ones((9, 3)))):
        with pytest.raises(ValueError, match=r"expected rows \[n, "):
            baseline.score_batch(np.zeros(3))
    with pytest.raises(ValueError, match=r"expected rows \[n, 3\]"):
        ExtremeValueBaseline().fit(np.ones((9, 3))).score_batch(np.zeros((1, 2)))
    with pytest.raises(ModelError, match="not trained"):
        ExtremeValueBaseline().score_batch(np.zeros((1, 2)))
    flat = state.dumps(
        ExtremeValueBaseline.kind, {"parameters": {}, "centre": np.zeros(1), "spread": np.zeros(1)}
    )
    with pytest.raises(StateError, match="positive spreads"):
        ExtremeValueBaseline.loads(flat)
