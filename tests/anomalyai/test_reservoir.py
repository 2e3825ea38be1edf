"""The bounded sample of clean rows."""

from __future__ import annotations

import numpy as np
import pytest

from anomalyai import state
from anomalyai.reservoir import MAX_CELLS, MAX_ROWS, Reservoir


def filled(upto: int, step: int, columns: int = 10) -> Reservoir:
    reservoir = Reservoir(columns)
    for start in range(0, upto, step):
        rows = np.arange(start, min(start + step, upto), dtype=np.float64)
        reservoir.add(np.repeat(rows[:, None], columns, axis=1))
    return reservoir


def test_all_is_kept_while_there_is_room() -> None:
    reservoir = filled(1_500, 500)
    assert np.array_equal(reservoir.rows[:, 0], np.arange(1_500))
    assert len(reservoir) == 1_500


def test_it_is_bounded_and_spans_what_came() -> None:
    rows = filled(40_000, 500).rows[:, 0]
    assert len(rows) == MAX_ROWS
    assert np.all(np.diff(rows) > 0)
    assert rows[-1] > 39_900
    assert rows[0] < 30_000


def test_the_thinning_does_not_depend_on_single_blocks() -> None:
    reservoir = filled(10_000, 100)
    gaps = np.diff(reservoir.rows[:, 0])
    assert gaps.max() <= 4


@pytest.mark.parametrize(("columns", "capacity"), [(0, 2_000), (10, 2_000), (100, 640), (1_000, 256)])
def test_wide_rows_are_fewer(columns: int, capacity: int) -> None:
    assert Reservoir(columns).capacity == capacity
    assert capacity * columns <= MAX_CELLS or capacity == 256


def test_a_restored_reservoir_goes_on() -> None:
    reservoir, again = filled(7_300, 100), Reservoir(10)
    again.restore(state.loads("reservoir", state.dumps("reservoir", reservoir.state())))
    for found in (reservoir, again):
        found.add(np.full((77, 10), 1e5))
    assert np.array_equal(again.rows, reservoir.rows)
    assert again.offered == reservoir.offered == 7_377
