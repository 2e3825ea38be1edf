"""Voices of single columns, and how voices are added."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from anomalyai.voice import (
    SOFT_NATS,
    add_up,
    hear_columns,
    hear_habits,
    hear_histories,
    hear_rarities,
    keep_lowest,
    soften,
)

PLACES = np.array([0, 2])


def made(columns: int = 3, rows: int = 40) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Return bins and the surprise of each."""
    rng = np.random.default_rng(columns)
    bins = rng.integers(0, 256, (rows, columns)).astype(np.uint8)
    return bins, rng.normal(0.0, 5.0, (columns, 256))


def test_large_surprise_is_softened_and_still_grows() -> None:
    surprise = np.linspace(-5.0, 50.0, 200)
    softened = np.array([soften(value) for value in surprise])
    assert np.array_equal(softened[surprise <= SOFT_NATS], surprise[surprise <= SOFT_NATS])
    assert np.all(np.diff(softened) > 0.0)
    assert softened[-1] < 16.0


def test_columns_say_the_sum_of_their_softened_surprise() -> None:
    bins, table = made()
    out = np.empty(len(bins))
    hear_columns(bins, table, PLACES, out)
    expected = [sum(soften(table[j, row[j]]) for j in PLACES) for row in bins]
    assert out == pytest.approx(expected, abs=1e-12)


def test_habits_say_their_largest_surprise() -> None:
    bins, table = made()
    out = np.empty(len(bins))
    hear_habits(bins, table, PLACES, out)
    assert out.tolist() == [max(0.0, *(table[j, row[j]] for j in PLACES)) for row in bins]
    assert out.min() == 0.0 < out.max()


def test_missing_rarities_say_nothing() -> None:
    values = np.array([[3.0, 9.0, 5.0], [np.nan, 9.0, 5.0], [np.nan, 9.0, np.inf]])
    out = np.empty(3)
    hear_rarities(values, np.array([1.0, 0.0, 2.0]), PLACES, out)
    assert out.tolist() == [5.0, 3.0, 0.0]


def test_voices_are_standardised_weighted_and_added() -> None:
    voices = np.array([[2.0, np.nan, 10.0], [1.0, 5.0, 4.0]])
    out = np.empty(2)
    add_up(voices, np.array([1.0, 3.0, 4.0]), np.array([0.5, 2.0, 3.0]), np.array([1.0, 10.0, 0.5]), out)
    assert out.tolist() == [2.0 + 1.0, 0.0 + 10.0 + 0.0]


@pytest.mark.parametrize("columns", [1, 6, 8, 9, 40, 130])
def test_sums_do_not_depend_on_how_many_rows_there_are(columns: int) -> None:
    bins, table = made(columns, 64)
    places = np.arange(columns)
    together = np.empty(64)
    hear_columns(bins, table, places, together)
    alone = np.empty(64)
    for i in range(64):
        hear_columns(bins[i : i + 1], table, places, alone[i : i + 1])
    assert np.array_equal(alone, together)


def test_histories_are_added_and_bounds_only_lowered() -> None:
    values = np.random.default_rng(2).normal(size=(30, 4))
    out = np.empty(30)
    hear_histories(values, np.array([1, 3]), out)
    assert np.array_equal(out, values[:, 1] + values[:, 3])
    bounds = np.random.default_rng(3).random((30, 5))
    lowest = np.full(30, 0.4)
    keep_lowest(bounds, 2.5, lowest)
    assert np.array_equal(lowest, np.minimum(0.4, (bounds * 2.5).min(axis=1)))
    assert (lowest < 0.4).any()
    assert (lowest == 0.4).any()
