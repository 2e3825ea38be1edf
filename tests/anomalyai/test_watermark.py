"""What the feed's own event time is, and which records' times are believed."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from anomalyai.watermark import FALL_RECORDS, LEAP_RECORDS, Believed, Watermark

START_S = 1_700_000_000.0
DAY_S = 86_400.0
FAR_S = 4_070_908_800.0  # 2099-01-01


def steady(n: int, step_s: float = 1.0, start_s: float = START_S) -> NDArray[np.float64]:
    return start_s + step_s * np.arange(n)


def fed(*parts: NDArray[np.float64]) -> tuple[Watermark, Believed]:
    mark = Watermark()
    return mark, mark.observe(np.concatenate(parts))


def counts(mark: Watermark) -> tuple[int, int, int]:
    late, too_late, future = mark.counts().values()
    return late, too_late, future


def test_a_feed_in_order_is_believed_and_followed_closely() -> None:
    for step_s in (0.001, 1.0, 600.0, DAY_S, 7 * DAY_S):
        times = steady(500, step_s)
        mark, believed = fed(times)
        assert np.array_equal(believed.time_s, times)
        assert counts(mark) == (0, 0, 0)
        assert times[-1] - 4 * step_s <= mark.mark_s <= times[-1]


def test_late_within_an_hour_is_believed_and_later_is_not() -> None:
    times = steady(100)
    mark, believed = fed(times, np.array([times[-1] - 1_800.0, times[-1] - 7_200.0]))
    assert counts(mark) == (1, 1, 0)
    assert believed.time_s[-2] == times[-1] - 1_800.0
    assert np.isnan(believed.time_s[-1])


def test_a_jump_ahead_moves_nothing_alone_or_in_a_burst_or_as_a_lasting_share() -> None:
    rng = np.random.default_rng(3)
    times = steady(2_000)
    wrong = rng.random(2_000) < 0.3
    third = np.where(wrong, FAR_S + rng.normal(0.0, 1e6, 2_000), times)
    burst = np.full(LEAP_RECORDS - 1, FAR_S)
    for disturbed, future in (
        (np.concatenate([times[:500], [FAR_S], times[500:]]), 1),
        (np.concatenate([times[:500], burst, times[500:]]), len(burst)),
        (np.concatenate([times[:20], third[20:]]), int(wrong[20:].sum())),
    ):
        mark, believed = fed(disturbed)
        assert counts(mark) == (0, 0, future)
        assert times[-4] - 20 < mark.mark_s <= times[-1]
        assert np.isnan(believed.time_s[disturbed > FAR_S - 1e8]).all()


def test_a_clock_hours_ahead_is_believed_for_its_own_records_but_does_not_lead_the_feed() -> None:
    times = steady(1_000)
    times[np.arange(50, 1_000, 4)] += 10 * 3_600.0
    mark, believed = fed(times)
    assert counts(mark) == (0, 0, 0)
    assert np.array_equal(believed.time_s, times)
    assert mark.mark_s < START_S + 1_000


def test_a_wrong_first_time_is_outvoted() -> None:
    mark, believed = fed(np.array([FAR_S]), steady(100))
    assert mark.mark_s == START_S + 96
    assert not np.isnan(believed.time_s).any()


def test_a_feed_that_goes_on_after_a_month_is_followed() -> None:
    month = steady(200, start_s=START_S + 30 * DAY_S)
    mark, believed = fed(steady(200), month)
    assert counts(mark) == (0, 0, LEAP_RECORDS)
    assert mark.mark_s == month[-4]
    assert np.array_equal(believed.time_s[-(200 - LEAP_RECORDS) :], month[LEAP_RECORDS:])


def test_a_slow_feed_may_skip_days_at_once() -> None:
    mark, _ = fed(steady(50, DAY_S), steady(50, DAY_S, START_S + 60 * DAY_S))
    assert counts(mark) == (0, 0, 0)


def test_a_feed_that_begins_again_is_followed_in_the_end() -> None:
    first = steady(5_000, start_s=START_S + DAY_S)
    mark, _ = fed(first, steady(FALL_RECORDS - 1))
    assert mark.mark_s == first[-4]
    assert counts(mark) == (0, FALL_RECORDS - 1, 0)
    mark.observe(steady(100, start_s=START_S + FALL_RECORDS - 1))
    assert mark.mark_s == START_S + FALL_RECORDS + 95
    assert counts(mark)[1] == FALL_RECORDS


def test_a_wrong_leap_is_taken_back_sooner_the_fewer_records_it_had() -> None:
    times = steady(1_000)
    mark, _ = fed(times[:500], np.full(2 * LEAP_RECORDS, FAR_S), times[500:])
    assert mark.mark_s == times[-4]
    assert counts(mark)[1] < 100


def test_records_without_a_time_change_nothing() -> None:
    times = steady(300)
    holes = np.insert(times, np.arange(0, 300, 3), np.nan)
    mark, believed = fed(holes)
    plain, _ = fed(times)
    assert mark.mark_s == plain.mark_s
    assert np.array_equal(believed.time_s, holes, equal_nan=True)


def test_the_stopwatch_leaves_out_what_the_feed_slept() -> None:
    mark, believed = fed(steady(1_000), steady(1_000, start_s=START_S + 40_000.0))
    assert counts(mark) == (0, 0, 0)
    assert 1_900 < believed.alive_s[-1] < 2_000
    minutes = np.repeat(steady(200, 60.0), 50)
    _, believed = fed(minutes)
    assert 180 * 60 < believed.alive_s[-1] <= 200 * 60


def test_arrival_times_are_believed_whatever_they_are() -> None:
    mark = Watermark(judging=False)
    arrivals = np.array([np.nan, 5.0, 5.0, 6.0, 1e9, 7.0])
    believed = mark.observe(arrivals)
    assert np.array_equal(believed.time_s, arrivals, equal_nan=True)
    assert mark.mark_s == 1e9
    assert counts(mark) == (0, 0, 0)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.sampled_from([0.0, 1.0, -5.0, -9_000.0, 9_000.0, 1e9, np.nan]), min_size=1, max_size=300),
    st.lists(st.integers(1, 299), max_size=10),
)
def test_no_cut_and_no_restart_changes_anything(steps: list[float], cuts: list[int]) -> None:
    times = steady(len(steps)) + np.array(steps)
    mark, believed = fed(times)
    other, found = Watermark(), []
    for part in np.split(times, sorted(cuts)):
        again = Watermark()
        again.restore({name: array.copy() for name, array in other.state().items()})
        other = again
        found.append(other.observe(part))
    assert np.concatenate([part.time_s for part in found]).tobytes() == believed.time_s.tobytes()
    assert np.concatenate([part.alive_s for part in found]).tobytes() == believed.alive_s.tobytes()
    for name, array in mark.state().items():
        assert array.tobytes() == other.state()[name].tobytes(), name
