"""Cuts by a budget and by flags, counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from anomalyai.evaluation.cutoff import Confusion, at_budget, confusion

SCORE = np.array([9.0, 8.0, 7.0, 7.0, 7.0, 1.0, 1.0, 1.0, 1.0, 1.0])
LABEL = np.array([1.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0])


@pytest.mark.parametrize(
    ("rate", "records", "hits"),
    [(0.0001, 1, 1.0), (0.2, 2, 1.0), (0.3, 3, 1 + 1 / 3), (0.5, 5, 2.0), (0.6, 6, 2.2), (1.0, 10, 3.0)],
)
def test_the_budget_takes_the_highest_scores_and_of_ties_what_is_expected(
    rate: float, records: int, hits: float
) -> None:
    cut = at_budget(SCORE, LABEL, rate)
    assert cut.records == records
    assert cut.precision is not None
    assert cut.recall is not None
    assert cut.precision.value == pytest.approx(hits / records)
    assert cut.recall.value == pytest.approx(hits / 3)
    shuffled = np.random.default_rng(0).permutation(10)
    assert at_budget(SCORE[shuffled], LABEL[shuffled], rate) == cut


def test_what_is_undefined_is_none() -> None:
    assert at_budget(SCORE, np.zeros(10), 0.2).recall is None
    assert at_budget(np.empty(0), np.empty(0), 0.2).precision is None


def test_flags_against_labels() -> None:
    flagged = np.array([True, True, False, False, False, False, False, False, True, True])
    assert confusion(flagged, LABEL) == Confusion(1, 3, 2, 4)
