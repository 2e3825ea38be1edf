"""Rates and latencies of the last seconds."""

from __future__ import annotations

import pytest

from stream.meter import LATENCIES, WINDOW_S, Meter


def test_the_rate_is_the_mean_of_the_last_whole_seconds_and_falls_to_zero() -> None:
    meter = Meter(monotonic_s=100.0)
    assert meter.events_per_second(100.0) == 0
    meter.count(100.2, 50, 0.01)
    assert meter.events_per_second(100.5) == 50
    for second in range(101, 110):
        meter.count(second + 0.5, 200, 0.01)
    assert meter.events_per_second(110.0) == 200
    assert meter.events_per_second(112.0) == pytest.approx(200 * 3 / WINDOW_S)
    assert meter.events_per_second(130.0) == 0


def test_p99_counts_records_not_batches() -> None:
    meter = Meter(monotonic_s=0.0)
    assert meter.p99_ms(0.0) is None
    meter.count(1.0, 990, 0.002)
    meter.count(1.1, 10, 5.0)
    assert meter.p99_ms(1.2) == 2.0
    meter.count(1.3, 1, 5.0)
    assert meter.p99_ms(1.4) == 5000.0
    assert meter.p99_ms(60.0) is None


def test_memory_is_bounded_and_a_clock_set_back_gives_no_negative_latency() -> None:
    meter = Meter(monotonic_s=0.0)
    for _ in range(LATENCIES * 3):
        meter.count(1.0, 1, -7.0)
    assert meter.p99_ms(1.0) == 0.0
    assert len(meter._latencies) == LATENCIES
