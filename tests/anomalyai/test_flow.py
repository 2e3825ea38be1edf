"""How many records a feed has a day of its own event time."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from anomalyai import state
from anomalyai.flow import FlowRate, median

START_S = 1.7e9


def times(first: int, n: int, gap_s: float = 10.0) -> NDArray[np.float64]:
    return START_S + gap_s * np.arange(first, first + n, dtype=np.float64)


def steady(blocks: int = 50) -> FlowRate:
    """Return a flow of one record every ten seconds: 8,640 a day."""
    flow = FlowRate()
    for block in range(blocks):
        flow.learn(times(block * 100, 100))
    return flow


def test_flow_is_records_a_day_of_event_time() -> None:
    assert steady().records_per_day == pytest.approx(8_640, rel=0.02)


def test_flow_is_unknown_at_first_and_without_times() -> None:
    flow = FlowRate()
    assert math.isnan(flow.records_per_day)
    flow.learn(np.full(100, np.nan))
    assert math.isnan(flow.records_per_day)
    flow.learn(times(0, 100))
    assert math.isnan(flow.records_per_day)
    flow.learn(times(100, 100))
    assert flow.records_per_day == pytest.approx(8_640 * 1.0, rel=0.02)


def test_records_without_a_time_count() -> None:
    flow = FlowRate()
    for block in range(50):
        time_s = times(block * 100, 100)
        time_s[::2] = np.nan
        flow.learn(time_s)
        flow.learn(np.full(100, np.nan))
    assert flow.records_per_day == pytest.approx(2 * 8_640, rel=0.03)


def test_late_records_move_nothing() -> None:
    flow = steady()
    place_s = flow.place_s
    flow.learn(np.array([5.0]))
    assert flow.place_s == place_s
    assert flow.records_per_day == pytest.approx(8_640, rel=0.02)


def test_single_wrong_clocks_leave_the_flow_alone() -> None:
    flow = FlowRate()
    for block in range(50):
        time_s = times(block * 100, 100)
        time_s[7], time_s[50] = 9e9, 0.0
        flow.learn(time_s)
    assert flow.records_per_day == pytest.approx(8_640, rel=0.03)


def test_a_new_pace_is_followed_within_weeks() -> None:
    flow = steady(2_000)
    last = 200_000
    for block in range(4_000):
        flow.learn(times(last * 2 + block * 100, 100, gap_s=5.0))
    assert flow.records_per_day == pytest.approx(2 * 8_640, rel=0.2)


def test_a_restored_flow_goes_on() -> None:
    flow, again = steady(), FlowRate()
    again.restore(state.loads("flow", state.dumps("flow", flow.state())))
    for found in (flow, again):
        found.learn(times(5_000, 64))
    assert again.state() == flow.state()


@pytest.mark.parametrize("count", [1, 2, 3, 511, 512])
def test_medians_are_numpys(count: int) -> None:
    values = np.random.default_rng(count).normal(size=count)
    assert median(values) == np.median(values)
