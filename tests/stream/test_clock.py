"""The clocks."""

from __future__ import annotations

import pytest

from stream.clock import ArrivalClock, Clock, SystemClock
from stream.testing import ManualClock


def test_a_manual_clock_moves_only_when_told_and_never_back() -> None:
    clock: Clock = ManualClock(now_s=100.0)
    assert isinstance(clock, ManualClock)
    assert (clock.now_s(), clock.monotonic_s()) == (100.0, 0.0)
    clock.advance(2.5)
    assert (clock.now_s(), clock.monotonic_s()) == (102.5, 2.5)
    with pytest.raises(ValueError, match="-1"):
        clock.advance(-1)


def test_the_system_clock_reads_epoch_seconds_and_never_goes_back() -> None:
    clock = SystemClock()
    assert clock.now_s() > 1_700_000_000
    readings = [clock.monotonic_s() for _ in range(100)]
    assert readings == sorted(readings)


def test_arrivals_never_go_back_and_keep_their_pauses_when_a_clock_is_set_back() -> None:
    clock = ManualClock(now_s=10_000.0)
    arrivals = ArrivalClock(clock)
    assert arrivals.now_s() == 10_000.0
    clock.step_back(3_600.0)
    assert arrivals.now_s() == 10_000.0
    for pause in range(1, 4):
        clock.advance(10.0)
        assert arrivals.now_s() == 10_000.0 + 5.0 * pause
    clock.advance(2 * 3_600.0)
    assert arrivals.now_s() == clock.now_s() == 13_630.0


def test_arrivals_go_on_after_the_last_one_of_an_earlier_run() -> None:
    clock = ManualClock(now_s=100.0)
    arrivals = ArrivalClock(clock, last_s=500.0)
    assert arrivals.now_s() == 500.0
    clock.advance(1_000.0)
    assert arrivals.now_s() == 1_100.0
