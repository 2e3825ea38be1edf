"""Pairs of entities and new counterparties."""

from __future__ import annotations

import numpy as np
import pytest

from anomalyai import state
from anomalyai.familiarity import MET, NEW, UNKNOWN, PairTable, mixed, surprise_of_new


def test_pairs_are_new_once() -> None:
    first = np.array([1, 1, 2, 1, 0, 1], dtype=np.uint64)
    second = np.array([7, 7, 7, 8, 7, 0], dtype=np.uint64)
    before = np.full(6, np.nan)
    table = PairTable(1_000)
    assert table.observe(first, second, 0, before).tolist() == [NEW, MET, NEW, NEW, UNKNOWN, UNKNOWN]
    assert before[:4].tolist() == [0.0, 1.0, 0.0, 0.0]
    assert np.isnan(before[4:]).all()
    other = PairTable(1_000)
    other.restore(state.loads("pairs", state.dumps("pairs", table.state())))
    assert other.observe(first, second, 6, before).tolist() == [MET, MET, MET, MET, UNKNOWN, UNKNOWN]


def test_keys_of_pairs_do_not_collide_and_depend_on_the_order() -> None:
    a, b = (grid.ravel().astype(np.uint64) for grid in np.meshgrid(np.arange(1, 600), np.arange(1, 600)))
    keys = mixed(a, b)
    assert len(np.unique(keys)) == len(keys)
    assert keys.min() > 0
    assert not np.array_equal(mixed(a[:50], b[600:650]), mixed(b[600:650], a[:50]))


def test_pairs_are_bounded_and_evictions_counted() -> None:
    table = PairTable(500)
    keys = np.arange(1, 5_001, dtype=np.uint64)
    table.observe(keys, keys, 0, np.empty(5_000))
    assert table.table.evicted > 3_000
    assert table.table.slots <= 2_048


def test_who_always_meets_the_same_is_surprised_by_a_new_one() -> None:
    pooled = np.zeros((1, 2))
    stats = np.zeros((2, 1), dtype=np.float32)
    loyal, roaming = 0, 1
    for events in range(100):
        assert surprise_of_new(stats, loyal, 0, float(events), pooled, 0, events == 0) >= 0.0
        last = surprise_of_new(stats, roaming, 0, float(events), pooled, 0, True)
    surprise = surprise_of_new(stats, loyal, 0, 100.0, pooled, 0, True)
    assert surprise > 3.0
    assert last == pytest.approx(0.0, abs=0.5)
    assert surprise_of_new(stats, loyal, 0, 100.0, pooled, 0, False) == 0.0
