"""How unusual the hour of the day is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from anomalyai import state
from anomalyai.hour import DAY_S, HOUR_S, OWN_STATS, HourRate, surprise_of_hour, turns

START_S = 1_700_006_400.0  # midnight


def days(count: int, first: int = 0) -> NDArray[np.float64]:
    """Return event times: every minute from 8 to 20, every half hour in the night."""
    day = np.concatenate([np.arange(0, 8, 0.5), np.arange(8, 20, 1 / 60), np.arange(20, 24, 0.5)]) * HOUR_S
    return np.concatenate([START_S + DAY_S * (first + d) + day for d in range(count)])


def test_quiet_hours_are_rare_once_they_were_watched() -> None:
    rate = HourRate()
    first = rate.observe(days(1))
    assert np.abs(first[16:]).max() < 2.0
    rate.observe(days(6, first=1))
    night, noon = rate.observe(START_S + 7 * DAY_S + HOUR_S * np.array([3.0, 12.0]))
    assert night > 1.5
    assert noon < 0.0


def test_an_hour_that_comes_for_the_first_time_says_nothing() -> None:
    rate = HourRate()
    rate.observe(START_S + np.arange(0, 3 * HOUR_S, 10.0))
    [found] = rate.observe(np.array([START_S + 3 * HOUR_S + 5.0]))
    assert abs(found) < 1e-6


def test_a_wrong_clock_moves_nothing_and_a_stood_still_feed_is_believed() -> None:
    steady, jumped = HourRate(), HourRate()
    steady.observe(days(3))
    jumped.observe(days(3))
    jumped.observe(np.array([START_S + 4_000 * DAY_S, np.nan, START_S - 900 * DAY_S]))
    after = days(1, first=3)
    assert np.array_equal(jumped.observe(after), steady.observe(after))
    jumped.observe(days(2, first=300))
    assert jumped.latest[0] == days(2, first=300)[-1]


def test_a_restored_rate_goes_on() -> None:
    whole, half = HourRate(), HourRate()
    half.observe(days(2))
    other = HourRate()
    other.restore(state.loads("hour", state.dumps("hour", half.state())))
    whole.observe(days(2))
    assert np.array_equal(other.observe(days(1, first=2)), whole.observe(days(1, first=2)))


def own_hours(times_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return an entity's surprise at each of its times."""
    own = np.zeros((1, OWN_STATS), dtype=np.float32)
    cosine, sine = turns(times_s).T
    out = np.empty(len(times_s))
    last = np.nan
    for i, time_s in enumerate(times_s):
        out[i] = surprise_of_hour(own, 0, 0, time_s >= times_s[0] + DAY_S, time_s - last, cosine[i], sine[i])
        last = time_s
    return out


def test_an_entity_with_hours_of_its_own_is_surprising_at_others() -> None:
    office = np.concatenate([START_S + DAY_S * d + HOUR_S * np.arange(9.0, 17.0, 0.25) for d in range(20)])
    found = own_hours(np.append(office, START_S + 20 * DAY_S + 3 * HOUR_S))
    assert np.isnan(found[:32]).all()
    assert found[-1] > 2.0
    assert found[-1] > 3.0 * np.nanquantile(found[:-1], 0.95)


def test_who_is_active_round_the_clock_is_never_surprising() -> None:
    found = own_hours(START_S + HOUR_S * np.arange(0.0, 24.0 * 20, 0.3))
    assert np.nanmax(found) < 0.5


def test_a_thousand_events_in_a_minute_are_a_minute() -> None:
    steady = START_S + HOUR_S * np.arange(0.0, 24.0 * 10, 0.5)
    burst = steady[-1] + np.arange(0.05, 60.0, 0.05)
    found = own_hours(np.concatenate([steady, burst, [steady[-1] + 12 * HOUR_S]]))
    assert found[-1] < 0.5
