"""Running mean and variance of the ensemble's members."""

from __future__ import annotations

import numpy as np
import pytest

from anomalyai.moments import MemberMoments


def test_moments_are_means_and_spreads_of_who_speaks() -> None:
    moments = MemberMoments(2)
    rng = np.random.default_rng(0)
    voices = np.column_stack([rng.normal(5.0, 2.0, 3_000), np.full(3_000, np.nan)])
    for part in np.split(voices, 30):
        moments.learn(part)
    moments.learn(voices[:0])
    assert moments.mean[0] == pytest.approx(5.0, abs=0.2)
    assert moments.variance[0] == pytest.approx(4.0, rel=0.1)
    assert (moments.mean[1], moments.variance[1], moments.weight[1]) == (0.0, 1.0, 0.0)
    moments.replace(1, np.array([1.0, 3.0]))
    assert (moments.mean[1], moments.variance[1], moments.weight[1]) == (2.0, 1.0, 2.0)
