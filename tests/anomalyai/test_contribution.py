"""Parts of a score: they sum to it, and they are where they belong."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from anomalyai.contribution import MAX_CELLS, MAX_PROBES, Rescore, Splitter

Rows = NDArray[np.float64]


def singles(count: int) -> list[NDArray[np.int64]]:
    return [np.array([j]) for j in range(count)]


def contributions(row: Rows, typical: Rows, groups: list[NDArray[np.int64]], score: Rescore) -> Rows:
    """Split the score of one row."""
    return Splitter(groups, len(row)).split(row[None, :], typical, score)[0]


def tangled(rows: Rows) -> Rows:
    """Return a score with products, a maximum and a floor in it."""
    mixed: Rows = np.maximum(rows[:, 0] * rows[:, -1] + np.sin(rows).sum(axis=1), rows.max(axis=1) ** 2)
    return np.maximum(mixed, 0.0)


@given(st.integers(1, 70), st.integers(0, 2**32 - 1))
def test_parts_sum_to_the_score(count: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    row, typical = rng.normal(0.0, 5.0, (2, count))
    parts = contributions(row, typical, singles(count), tangled)
    assert abs(parts.sum() - tangled(row[None, :])[0]) < 1e-9


def test_of_few_fields_the_parts_are_shapley_values() -> None:
    row, typical = np.array([2.0, -1.0, 4.0]), np.array([0.5, 0.5, 0.5])

    def worth(fields: set[int]) -> float:
        if not fields:
            return 0.0
        return float(tangled(np.where([j in fields for j in range(3)], row, typical)[None, :])[0])

    exact = np.zeros(3)
    for order in permutations(range(3)):
        for place, field in enumerate(order):
            exact[field] += (worth(set(order[: place + 1])) - worth(set(order[:place]))) / 6
    assert contributions(row, typical, singles(3), tangled) == pytest.approx(exact)


def test_a_field_that_changes_nothing_has_no_part_but_the_typical_records() -> None:
    def first(rows: Rows) -> Rows:
        return rows[:, 0] + 0.4

    parts = contributions(np.array([3.0, 9.0, -9.0, 1.0]), np.zeros(4), singles(4), first)
    assert parts == pytest.approx([3.1, 0.1, 0.1, 0.1])


def test_either_of_two_fields_would_do_so_they_share() -> None:
    parts = contributions(np.array([5.0, 5.0, 0.0]), np.zeros(3), singles(3), lambda rows: rows.max(axis=1))
    assert parts == pytest.approx([2.5, 2.5, 0.0])


def test_a_field_that_makes_a_record_more_usual_has_a_negative_part() -> None:
    parts = contributions(
        np.array([5.0, 2.0]), np.zeros(2), singles(2), lambda rows: np.maximum(rows[:, 0] - rows[:, 1], 0.0)
    )
    assert parts[0] > 3.0
    assert parts[1] < 0.0


def test_columns_of_one_field_go_together_and_the_unknown_stays() -> None:
    groups = [np.array([0, 2]), np.array([1])]
    typical = np.array([0.0, np.nan, 0.0])
    parts = contributions(np.array([2.0, 7.0, 3.0]), typical, groups, lambda rows: rows.sum(axis=1))
    assert parts == pytest.approx([5.0 + 3.5, 3.5])


@pytest.mark.parametrize("count", [1, 2, 6, 14, 40, 64, 65, 512])
def test_what_one_record_costs_is_bounded(count: int) -> None:
    asked = 0

    def counted(rows: Rows) -> Rows:
        nonlocal asked
        asked += len(rows)
        return rows.sum(axis=1)

    contributions(np.ones(count), np.zeros(count), singles(count), counted)
    assert asked <= max(MAX_PROBES, 2 * count)


def test_equal_rows_have_equal_parts() -> None:
    score: Callable[[Rows], Rows] = tangled
    row = np.random.default_rng(1).normal(size=20)
    first = contributions(row, np.zeros(20), singles(20), score)
    assert np.array_equal(first, contributions(row, np.zeros(20), singles(20), score))


def test_rows_are_split_as_they_would_be_alone() -> None:
    rows = np.random.default_rng(2).normal(size=(7, 20))
    splitter = Splitter(singles(20), 20)
    together = splitter.split(rows, np.zeros(20), tangled)
    assert together.shape == (7, 20)
    for row, parts in zip(rows, together, strict=True):
        assert np.array_equal(splitter.split(row[None, :], np.zeros(20), tangled)[0], parts)


def test_memory_is_bounded() -> None:
    for count in (1, 20, 512):
        asked = 0

        def counted(rows: Rows) -> Rows:
            nonlocal asked
            asked = rows.size
            return rows.sum(axis=1)

        splitter = Splitter(singles(count), count)
        splitter.split(np.ones((splitter.records_at_once, count)), np.zeros(count), counted)
        assert asked <= MAX_CELLS
