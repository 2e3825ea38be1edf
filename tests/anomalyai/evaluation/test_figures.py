"""Figures on a scored stream: scikit-learn's where there are any, None where there are none."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from anomalyai.evaluation import default_warmup, measure


def test_figures_are_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    label = (rng.random(500) < 0.1).astype(float)
    score = np.round(rng.normal(size=500) + label, 1)  # ties among them
    flagged = score > 1.5
    found = measure(score, flagged, label, warmup=100, promised_rate=0.05, elapsed_s=2.0)
    assert found.events == 500
    assert found.warmup == 100
    assert found.average_precision == pytest.approx(average_precision_score(label[100:], score[100:]))
    assert found.roc_auc == pytest.approx(roc_auc_score(label[100:], score[100:]))
    assert found.precision_at_budget == pytest.approx(label[100:][flagged[100:]].mean())
    assert found.recall_at_budget == pytest.approx(flagged[100:][label[100:] == 1].mean())
    assert found.alerts == np.count_nonzero(flagged[100:])
    assert found.promised_rate == 0.05
    assert found.realised_rate == pytest.approx(flagged[100:].mean())
    assert found.events_per_second == 250.0


def test_rejected_and_unlabelled_records_are_left_out() -> None:
    score = np.array([9.0, 1.0, np.nan, 3.0, 0.5, 2.0])
    label = np.array([1.0, 0.0, 1.0, np.nan, 0.0, 1.0])
    flagged = np.array([True, False, False, True, False, False])
    found = measure(score, flagged, label, warmup=0, promised_rate=0.1)
    assert found.average_precision == pytest.approx(1.0)
    assert found.precision_at_budget == 1.0
    assert found.recall_at_budget == 0.5
    assert found.alerts == 2
    assert found.realised_rate == pytest.approx(2 / 5)
    assert found.events_per_second is None


def test_what_is_undefined_is_said_to_be() -> None:
    normal = measure(np.zeros(10), np.zeros(10, bool), np.zeros(10), warmup=2, promised_rate=0.1)
    assert normal.average_precision is None
    assert normal.roc_auc is None
    assert normal.precision_at_budget is None
    assert normal.recall_at_budget is None
    assert normal.realised_rate == 0.0
    unlabelled = measure(np.zeros(10), np.ones(10, bool), np.full(10, np.nan), warmup=0, promised_rate=0.1)
    assert unlabelled.average_precision is None
    assert unlabelled.precision_at_budget is None
    assert unlabelled.alerts == 10
    anomalous = measure(np.zeros(4), np.zeros(4, bool), np.ones(4), warmup=0, promised_rate=0.1)
    assert anomalous.average_precision == 1.0
    assert anomalous.roc_auc is None
    assert anomalous.recall_at_budget == 0.0
    nothing = measure(np.empty(0), np.empty(0, bool), np.empty(0), warmup=0, promised_rate=0.1)
    assert nothing.realised_rate is None
    early = measure(np.zeros(5), np.zeros(5, bool), np.zeros(5), warmup=50, promised_rate=0.1)
    assert early.realised_rate is None


@pytest.mark.parametrize(
    ("events", "warmup"), [(0, 0), (10, 2), (1_000, 200), (25_000, 5_000), (10**6, 5_000)]
)
def test_the_warm_up_is_a_fifth_at_most_five_thousand(events: int, warmup: int) -> None:
    assert default_warmup(events) == warmup
