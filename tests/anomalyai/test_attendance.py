"""Who has fallen silent: entities by the feed's stopwatch, a feed by its arrivals."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from anomalyai.arrival import ArrivalCadence, Origins
from anomalyai.attendance import CAME_BACK, FELL_SILENT, MAX_OPEN, Attendance, Event

SPREADS = 4.0


def visits(cadences: dict[int, NDArray[np.float64]]) -> tuple[NDArray[np.uint64], NDArray[np.float64]]:
    """Return keys and times of entities that come at the given times, in order."""
    keys = np.concatenate([np.full(len(times), key, dtype=np.uint64) for key, times in cadences.items()])
    times = np.concatenate(list(cadences.values()))
    order = np.argsort(times, kind="stable")
    return keys[order], times[order]


def regular(step_s: float, until_s: float, seed: int = 0) -> NDArray[np.float64]:
    steps = np.random.default_rng(seed).normal(step_s, 0.05 * step_s, int(until_s / step_s) + 1)
    times = np.cumsum(np.maximum(steps, 0.01))
    return times[times < until_s]


def told(attendance: Attendance, keys: NDArray[np.uint64], times: NDArray[np.float64]) -> list[Event]:
    return [event for event in attendance.observe(keys, times, 0, SPREADS) if event.kind != 0]


def test_a_regular_machine_that_stops_is_told_of_soon_and_when_it_comes_back() -> None:
    stopped = regular(10.0, 4_000.0, seed=1)
    stopped = stopped[(stopped < 2_000.0) | (stopped > 3_000.0)]
    keys, times = visits({7: stopped, 8: regular(10.0, 4_000.0, seed=2), 9: regular(60.0, 4_000.0, seed=3)})
    silent, back = told(Attendance(), keys, times)
    assert (silent.kind, silent.key, back.kind, back.key) == (FELL_SILENT, 7, CAME_BACK, 7)
    assert 2_030.0 < times[silent.row] < 2_120.0
    assert 40.0 <= silent.elapsed_s < 120.0
    assert 9.0 < silent.usual_s < 11.0
    assert silent.score > 4.0
    assert back.elapsed_s > 990.0
    assert keys[back.row] == 7


def test_random_comings_do_not_alarm_beyond_the_tail_and_a_stop_is_told_of_late() -> None:
    rng = np.random.default_rng(5)
    poisson = {key: np.cumsum(rng.exponential(10.0, 5_000)) for key in range(1, 21)}
    poisson = {key: times[times < 48_000.0] for key, times in poisson.items()}
    keys, times = visits(poisson)
    assert len(told(Attendance(), keys, times)) <= 3  # of 96,000 gaps, each to 1 in 31,574
    poisson[1] = poisson[1][:2_000]
    keys, times = visits(poisson)
    first = told(Attendance(), keys, times)[0]
    assert first.key == 1
    assert first.elapsed_s > 100.0


def test_stops_that_come_every_night_are_told_of_twice_at_most() -> None:
    days = [regular(60.0, 43_200.0, seed=day) + 86_400.0 * day for day in range(8)]
    keys, times = visits({1: np.concatenate(days), 2: regular(60.0, 8 * 86_400.0, seed=9)})
    silent = [event for event in told(Attendance(), keys, times) if event.kind == FELL_SILENT]
    assert [event.key for event in silent] == [1, 1]


def test_passing_guests_are_told_of_up_to_a_bound_and_counted() -> None:
    guests = {key: 600.0 * key + 10.0 * np.arange(30) for key in range(1, 201)}
    keys, times = visits({999: regular(5.0, 130_000.0), **guests})
    attendance = Attendance()
    assert len(told(attendance, keys, times)) == MAX_OPEN == attendance.open
    assert attendance.withheld > 100


def test_an_entity_hardly_known_or_with_no_rhythm_is_not_waited_for() -> None:
    wild = np.cumsum(np.exp(np.random.default_rng(2).normal(0.0, 3.0, 500)))
    keys, times = visits({1: regular(10.0, 150.0), 2: wild[wild < 5_000.0], 3: regular(7.0, 20_000.0)})
    assert told(Attendance(), keys, times) == []


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 2_000), max_size=30))
def test_no_cut_and_no_restart_changes_who_is_told_of(cuts: list[int]) -> None:
    cadences = {key: regular(5.0 + key, 6_000.0, seed=key) for key in range(1, 30)}
    for key in range(1, 6):
        cadences[key] = cadences[key][(cadences[key] < 3_000.0) | (cadences[key] > 3_000.0 + 400.0 * key)]
    keys, times = visits(cadences)
    keys[::17] = 0
    whole, parts = Attendance(), Attendance()
    expected = whole.observe(keys, times, 0, SPREADS)
    assert sum(event.kind == FELL_SILENT for event in expected) >= 5
    found: list[Event] = []
    edges = [0, *sorted({cut for cut in cuts if cut < len(keys)}), len(keys)]
    for a, b in pairwise(edges):
        again = Attendance()
        again.restore({name: np.copy(value) for name, value in parts.state().items()})
        parts = again
        found += [
            event._replace(row=event.row + a) for event in parts.observe(keys[a:b], times[a:b], a, SPREADS)
        ]
    assert found == expected
    for name, value in whole.state().items():
        assert np.asarray(value).tobytes() == np.asarray(parts.state()[name]).tobytes(), name


def origins(times: NDArray[np.float64], first: int = 1) -> Origins:
    entries = np.arange(first, first + len(times))
    return Origins(entries, entries, times)


def test_a_feed_is_overdue_once_and_until_it_comes_back() -> None:
    arrivals = ArrivalCadence()
    assert arrivals.observe(origins(regular(10.0, 500.0))) is None
    assert arrivals.allowed_s(SPREADS) == math.inf  # known for less than ten minutes
    times = regular(10.0, 2_000.0)
    arrivals = ArrivalCadence()
    assert arrivals.observe(origins(times)) is None
    due_s = times[-1] + arrivals.allowed_s(SPREADS)
    assert times[-1] + 40.0 < due_s < times[-1] + 120.0
    assert arrivals.tick(due_s - 1.0, SPREADS) is None
    silence = arrivals.tick(due_s + 60.0, SPREADS)
    assert silence is not None
    assert silence.elapsed_s == due_s + 60.0 - times[-1]
    assert 9.0 < silence.usual_s < 11.0
    assert arrivals.allowed_s(SPREADS) == math.inf
    assert arrivals.tick(due_s + 600.0, SPREADS) is None
    back = origins(times[-1] + np.array([5_000.0, 5_010.0]), first=1_000)
    assert arrivals.observe(back) == (times[-1] + 5_000.0, 5_000.0)
    assert arrivals.observe(back) is None  # entries that were seen do nothing
    assert math.isfinite(arrivals.allowed_s(SPREADS))


def test_frames_in_quick_succession_are_one_arrival() -> None:
    arrivals = ArrivalCadence()
    arrivals.observe(origins(np.repeat(10.0 * np.arange(100), 5) + np.tile(0.01 * np.arange(5), 100)))
    assert 40.0 < arrivals.allowed_s(SPREADS) < 130.0
