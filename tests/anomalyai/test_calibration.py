"""Calibration, budget, blocks, flow, reservoir: the small parts of a decision."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomalyai.block import FULL_BLOCK, next_end
from anomalyai.budget import AlertBudget
from anomalyai.calibration import TailCalibrator
from anomalyai.errors import SchemaError
from anomalyai.flow import FlowRate
from anomalyai.reservoir import Reservoir


def exponential(count: int = 50_000) -> TailCalibrator:
    calibrator = TailCalibrator(-64.0, 192.0)
    rng = np.random.default_rng(0)
    for part in np.array_split(rng.exponential(2.0, count), 100):
        calibrator.learn(part)
    return calibrator


def test_tail_of_an_exponential_is_met_and_extrapolated() -> None:
    calibrator = exponential()
    for tail in (0.3, 0.01, 1e-3):
        raw = np.array([-2.0 * math.log(tail)])
        assert calibrator.tail(raw)[0] == pytest.approx(tail, rel=0.25)
    far = calibrator.tail(np.array([-2.0 * math.log(1e-6)]))[0]
    assert 1e-8 < far < 1e-4


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=50))
def test_tail_falls_and_stays_a_probability(raw: list[float]) -> None:
    tail = CALIBRATOR.tail(np.sort(np.array(raw)))
    assert np.all(tail > 0.0)
    assert np.all(tail <= 1.0)
    assert np.all(np.diff(tail) <= 1e-12)


CALIBRATOR = exponential(5_000)


def test_an_empty_calibrator_is_still_a_probability() -> None:
    tail = TailCalibrator(-64.0, 192.0).tail(np.array([-100.0, 0.0, 1e9]))
    assert np.all((tail > 0.0) & (tail <= 1.0))


@pytest.mark.parametrize(("text", "rate"), [("1/1000", 1e-3), ("1 / 500", 2e-3), ("20/day", 20 / 5_000)])
def test_a_budget_is_a_rate(text: str, rate: float) -> None:
    assert AlertBudget.parse(text).rate(5_000.0) == pytest.approx(rate)


@pytest.mark.parametrize("text", ["", "20", "1/1", "0/day", "1/0", "many", "1/99999999999"])
def test_other_budgets_are_refused_with_an_example(text: str) -> None:
    with pytest.raises(SchemaError, match="20/day"):
        AlertBudget.parse(text)


@given(st.integers(0, 10_000))
def test_blocks_end_ahead_and_are_bounded(seen: int) -> None:
    end = next_end(seen)
    assert seen < end <= seen + FULL_BLOCK
    assert next_end(end) > end


def test_flow_is_records_a_day_of_event_time() -> None:
    flow = FlowRate()
    assert math.isnan(flow.records_per_day)
    for block in range(50):
        flow.learn(1e9 + 10.0 * np.arange(block * 100, block * 100 + 100))
    assert flow.records_per_day == pytest.approx(8_640, rel=0.03)
    flow.learn(np.array([np.nan, np.nan]))
    flow.learn(np.array([5.0]))  # far behind: counted, moves nothing
    assert flow.place_s == pytest.approx(1e9 + 49_495.0)
    assert flow.records_per_day == pytest.approx(8_640, rel=0.05)


def test_single_wrong_clocks_leave_the_flow_alone() -> None:
    flow = FlowRate()
    for block in range(50):
        time_s = 1e9 + 10.0 * np.arange(block * 100, block * 100 + 100)
        time_s[7], time_s[50] = 9e9, 0.0
        flow.learn(time_s)
    assert flow.records_per_day == pytest.approx(8_640, rel=0.03)


def test_the_reservoir_is_bounded_and_spans_what_came() -> None:
    reservoir = Reservoir(10)
    for start in range(0, 40_000, 500):
        reservoir.add(np.repeat(np.arange(start, start + 500.0)[:, None], 10, axis=1))
    rows = reservoir.rows[:, 0]
    assert len(rows) == reservoir.capacity == 2_000
    assert np.all(np.diff(rows) > 0)
    assert rows[-1] > 39_900
    assert rows[0] < 30_000
    assert Reservoir(1_000).capacity == 256
