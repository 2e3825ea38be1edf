"""Intervals: Wilson's as SciPy has it; the bootstrap holds its value and what repeats shows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn.metrics import average_precision_score

from anomalyai.evaluation.interval import (
    BLOCKS,
    _weighted_average_precision,
    average_precision_interval,
    time_blocks,
    wilson,
)


@given(st.integers(0, 60), st.integers(1, 60))
def test_wilsons_interval_is_scipys(hits: int, trials: int) -> None:
    found = wilson(min(hits, trials), trials)
    assert found is not None
    expected = binomtest(min(hits, trials), trials).proportion_ci(method="wilson")
    assert found.value == min(hits, trials) / trials
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert found.low is not None
    assert found.high is not None
    assert 0.0 <= found.low <= found.value <= found.high <= 1.0


def test_no_trials_give_no_share() -> None:
    assert wilson(0, 0) is None


def test_blocks_are_equally_large_and_keep_a_time_together() -> None:
    assert np.bincount(time_blocks(np.arange(100.0), 5)).tolist() == [20] * 5
    time_s = np.repeat([5.0, 3.0, 9.0], [4, 2, 4])
    assert time_blocks(time_s, 5).tolist() == [1] * 4 + [0] * 2 + [3] * 4
    assert time_blocks(np.array([np.nan, 2.0, 1.0, 0.0]), 2).tolist() == [0, 0, 1, 1]
    assert len(time_blocks(np.empty(0), 5)) == 0


@given(st.integers(0, 2**32 - 1))
def test_a_weighted_average_precision_is_scikit_learns(seed: int) -> None:
    rng = np.random.default_rng(seed)
    label = rng.random(60) < 0.3
    score = np.sort(rng.integers(0, 12, 60).astype(float))[::-1]
    weight = rng.integers(0, 3, 60).astype(float)
    last = np.flatnonzero(np.append(score[1:] != score[:-1], True))
    found = _weighted_average_precision(weight, label, last)
    if not weight[label].sum():
        assert np.isnan(found)
        return
    assert found == pytest.approx(average_precision_score(label, score, sample_weight=weight))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_bootstrap_holds_the_value_whatever_order_equal_times_have(seed: int) -> None:
    rng = np.random.default_rng(seed)
    label = (rng.random(400) < 0.1).astype(float)
    score = np.round(rng.normal(size=400) + label, 1)
    time_s = np.sort(rng.integers(0, 150, 400)).astype(float)
    value = float(average_precision_score(label, score))
    found = average_precision_interval(score, label, time_s, value)
    assert found.low is not None
    assert found.high is not None
    assert found.low <= value <= found.high
    shuffled = rng.permutation(400)
    again = average_precision_interval(score[shuffled], label[shuffled], time_s[shuffled], value)
    assert (again.low, again.high) == pytest.approx((found.low, found.high))


def test_a_burst_has_a_wider_interval_than_scattered_anomalies_or_none() -> None:
    rng = np.random.default_rng(0)
    n = 5_000
    time_s = np.arange(float(n))
    score = rng.normal(size=n)
    scattered = np.zeros(n)
    scattered[::25] = 1.0
    score[::25] += np.repeat(rng.normal(2.0, 1.5, 8), 25)  # what is alike comes together
    value = float(average_precision_score(scattered, score))
    blocks = average_precision_interval(score, scattered, time_s, value)
    shuffled = rng.permutation(n)
    single = average_precision_interval(score[shuffled], scattered[shuffled], time_s, value)
    assert blocks.low is not None
    assert blocks.high is not None
    assert single.low is not None
    assert single.high is not None
    assert blocks.high - blocks.low > 1.5 * (single.high - single.low)
    burst = (time_s < n // BLOCKS).astype(float)
    assert average_precision_interval(score, burst, time_s, 0.5).low is None
