"""A training beside the live feed leaves its throughput and its alerts' delay as they are."""

from __future__ import annotations

import pytest

from web.benchmark.beside import measure_beside


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_a_training_leaves_throughput_and_p99_within_a_tenth() -> None:
    found = measure_beside()
    assert found["throughput_beside_training"]["ratio"] >= 0.9, found
    assert found["alert_latency_p99_ms_beside_training"]["ratio"] <= 1.1, found
