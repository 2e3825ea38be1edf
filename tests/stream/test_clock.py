"""The two clocks."""

from __future__ import annotations

import pytest

from stream.clock import Clock, SystemClock
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
