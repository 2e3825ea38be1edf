"""How fast an entity's events come."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from anomalyai.pace import STATS, count_event, is_older_than_a_day


def run(gaps_s: list[float]) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Return (burst, surge) at each event, float64 [events, 2], and the statistics in the end."""
    own = np.zeros((1, STATS), dtype=np.float32)
    out = np.full((len(gaps_s), 2), np.nan)
    for row, gap_s in enumerate(gaps_s):
        count_event(own, 0, gap_s, out, row, 0)
    return out, own


@pytest.mark.parametrize("gap_s", [1.0, 60.0, 3_600.0, 86_400.0])
def test_a_steady_pace_is_no_burst_from_the_first_event_on(gap_s: float) -> None:
    out, _ = run([0.0] + [gap_s] * 3_000)
    assert np.nanmax(np.abs(out), initial=0.0) < np.log(2.0)
    assert np.isfinite(out[-1, 0]) == (gap_s * 3_000 > 3_600.0)
    assert np.isfinite(out[-1, 1]) == (gap_s * 3_000 > 86_400.0)


def test_a_burst_stands_out_and_a_lasting_one_surges() -> None:
    usual = [0.0] + [3_600.0] * 400
    burst, _ = run([*usual, *[2.0] * 30])
    assert burst[-1, 0] > np.log(10.0) > np.log(2.0) > np.nanmax(burst[:400, 0])
    surge, _ = run([*usual, *[30.0] * 120])
    assert surge[-1, 1] > np.log(10.0)


def test_counts_are_of_a_minute_an_hour_a_day_and_a_month() -> None:
    _, own = run([0.0] + [10.0] * 20_000)
    minute, hour, day = own[0, :3]
    assert [minute, hour] == pytest.approx([60.0 / 10.0 / np.log(2.0), 3_600.0 / 10.0 / np.log(2.0)], rel=0.1)
    assert day < 86_400.0 / 10.0 / np.log(2.0)
    assert is_older_than_a_day(own, 0)
    assert not is_older_than_a_day(run([0.0] + [10.0] * 8_000)[1], 0)
