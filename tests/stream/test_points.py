"""Thinning keeps peaks and order; the ring is bounded and reaches far back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.points import Point, PointRing, thin, thin_points, wire


def run(scores: list[float], most: int, first_seq: int = 1) -> list[Point]:
    score = np.array(scores)
    return thin(first_seq, np.arange(len(score), dtype=float), score, score >= 3.0, most)


@given(st.lists(st.floats(0, 15), max_size=300), st.integers(1, 40))
def test_thinning_keeps_the_highest_the_order_and_the_bound(scores: list[float], most: int) -> None:
    points = run(scores, most, first_seq=5)
    assert len(points) <= most
    assert [p[0] for p in points] == sorted({p[0] for p in points})
    assert max((p[2] for p in points), default=None) == max(scores, default=None)
    for seq, time_s, score, flagged in points:
        assert (score, time_s, flagged) == (scores[seq - 5], seq - 5.0, score >= 3.0)
    again = thin_points(points, 3)
    assert len(again) <= 3
    assert max((p[2] for p in again), default=None) == max(scores, default=None)


def test_each_bucket_gives_its_own_maximum() -> None:
    assert [p[0] for p in run([1, 9, 2, 3, 8, 1, 0, 0, 7, 7], most=3)] == [2, 5, 9]


def test_missing_times_become_null_on_the_wire() -> None:
    assert wire([(3, float("nan"), 1.00004, True)]) == [(3, None, 1.0, True)]


@pytest.mark.parametrize("n", [0, 10, 5_000, 200_000])
def test_the_ring_is_bounded_ordered_and_keeps_the_newest_and_the_peak(n: int) -> None:
    ring = PointRing()
    peak = n // 2
    for start in range(0, n, 1000):
        ring.extend([(i, 0.0, 9.0 if i == peak else 1.0, False) for i in range(start, min(n, start + 1000))])
    points = ring.points()
    assert len(points) <= PointRing.TIERS * PointRing.TIER_POINTS == 5000
    assert [p[0] for p in points] == sorted({p[0] for p in points})
    if n:
        assert points[-1][0] == n - 1
        assert any(p[0] == peak for p in points)
        assert points[0][0] < max(1, n // 100)
    if n <= 1000:
        assert len(points) == n
